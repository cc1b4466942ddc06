"""The section "Caching" of the admin: Overview and Audit, on live data, without a table and without a migration."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseNotAllowed, JsonResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.dateformat import format as date_format

from caching_core.errors import CacheError
from caching_django._aliases import chosen_alias, our_aliases
from caching_django._audit_page import audit_view
from caching_django._backend import TieredCache
from caching_django._figures import groups_of
from caching_django.models import Audit, Cache

# Any, in this module: requests and responses, which Django does not annotate.


class LivePage(admin.ModelAdmin):  # type: ignore[misc]  # Django ships no annotations
    """A page in place of a list of rows: looked at with the model's view permission, and changing nothing."""

    page_template = ""

    def has_add_permission(self, *_: object, **__: object) -> bool:
        """Return that there is nothing to add."""
        return False

    def has_change_permission(self, *_: object, **__: object) -> bool:
        """Return that there is nothing to change."""
        return False

    def has_delete_permission(self, *_: object, **__: object) -> bool:
        """Return that there is nothing to delete."""
        return False

    def changelist_view(self, request: Any, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the page, or its figures as JSON where ``format=json`` asks for them."""
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        aliases = our_aliases()
        alias = chosen_alias(aliases, request.GET.get("alias"))
        found: dict[str, Any] = {"aliases": list(aliases), "alias": alias, "problem": "", "read_at": timezone.now()}
        if alias is not None:
            try:
                found |= self.content(aliases[alias], request.GET)
            except CacheError as error:
                found["problem"] = str(error)
        if request.GET.get("format") == "json":
            return self.as_json(found)
        context = {**self.admin_site.each_context(request), "title": self.title, "opts": self.opts, **found, **(extra_context or {})}
        return TemplateResponse(request, self.page_template, context)

    title = ""

    def content(self, cache: TieredCache, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return what the template shows of a cache, ``asked`` for with these parameters. Raises CacheError."""
        raise NotImplementedError

    def as_json(self, found: dict[str, Any]) -> Any:
        """Return the page as JSON; a page that does not refresh itself has none."""
        return JsonResponse({"problem": found["problem"]}, status=404)


@admin.register(Cache)
class OverviewPage(LivePage):
    """What the cache holds and has done."""

    page_template = "admin/caching/overview.html"
    title = "Overview"

    def content(self, cache: TieredCache, _asked: Mapping[str, str]) -> dict[str, Any]:
        """Return the figures."""
        config, stats = cache.shared.config, cache.shared.manager.stats()
        on_disk = config.cache_levels > 1 and config.l2.enabled
        return {
            "groups": groups_of(stats),
            "is_unused": stats.hits + stats.misses + stats.sets == 0,
            "is_disabled": config.disabled,
            "directory": str(config.host_directory()) if on_disk else "",
            "is_sealed": config.crypto.enabled,
            "pickle": config.crypto.pickle,
        }

    def as_json(self, found: dict[str, Any]) -> Any:
        """Return the figures by name, as they are written."""
        figures = {figure.name: figure.value for group in found.get("groups", ()) for figure in group.figures}
        at = found["read_at"]
        written = date_format(timezone.localtime(at) if timezone.is_aware(at) else at, "H:i:s")
        return JsonResponse({"figures": figures, "problem": found["problem"], "read_at": at.isoformat(), "read_at_written": written})


@admin.register(Audit)
class AuditPage(LivePage):
    """What happened, and whether the log's chain holds."""

    page_template = "admin/caching/audit.html"
    title = "Audit"

    def content(self, cache: TieredCache, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return records and filters."""
        return {"view": audit_view(cache, asked)}
