"""What is known of the cache at work: figures, metrics and health, and later series, analytics and recommendations."""

from caching_core.insight._advice import Recommendation, recommendations
from caching_core.insight._families import FAMILIES, Family, Kind
from caching_core.insight._health import Condition, Health, TierHealth, probe
from caching_core.insight._metrics import METRICS_CONTENT_TYPE, Metrics
from caching_core.insight._metrics_port import MetricsPort
from caching_core.insight._stats import CacheStats
from caching_core.insight._tenant_labels import MOST_TENANTS, OTHER

__all__ = [
    "FAMILIES",
    "METRICS_CONTENT_TYPE",
    "MOST_TENANTS",
    "OTHER",
    "CacheStats",
    "Condition",
    "Family",
    "Health",
    "Kind",
    "Metrics",
    "MetricsPort",
    "Recommendation",
    "TierHealth",
    "probe",
    "recommendations",
]
