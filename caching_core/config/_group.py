"""What all configuration models have in common: frozen, strict, and errors of our own."""

from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caching_core.config._report import invalid

_FLAT: Final = "flat"


class Group(BaseModel):
    """A frozen group of settings; made from keywords, it raises ConfigInvalid and nothing else."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=False,
        hide_input_in_errors=True,
        revalidate_instances="always",
        # Validators are built when the first configuration is: importing the core stays light.
        defer_build=True,
    )

    if not TYPE_CHECKING:  # type checkers keep the signature that the fields make

        def __init__(self, **settings: Any) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                raise invalid(error, type(self), {}) from None

        # Without this mark, pydantic would build nested groups through ``__init__`` and lose their paths.
        __init__.__pydantic_base_init__ = True


def setting(*, default: object, meaning: str, flat: str | None = None, **limits: Any) -> Any:  # Any: stands for a field of any type
    """Declare a setting: its default, what it means, its flat key where it has one, and limits as of ``pydantic.Field``."""
    return Field(default=default, description=meaning, json_schema_extra={_FLAT: flat} if flat else None, **limits)


def group(kind: type[Group], meaning: str) -> Any:  # Any: stands for a field of any group
    """Declare a group of settings, by default one with all its defaults."""
    return Field(default_factory=kind, description=meaning)


def flat_name(extra: object) -> str | None:
    """Return the flat key that ``setting`` kept in a field's extra data."""
    name = cast("dict[str, object]", extra).get(_FLAT) if isinstance(extra, dict) else None
    return name if isinstance(name, str) else None
