"""The Prometheus metrics. No label identifies a payee or tells the result of a background check."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Telemetry:
    """The metrics of one process, in a separate registry."""

    def __init__(self) -> None:
        """Register all metrics, so that the first scrape shows those without labels as zero."""
        self.registry = CollectorRegistry()
        self.webhooks = Counter(
            "dots_gateway_webhooks_total",
            "Webhooks by outcome: stored, foreign_app (stored and then ignored), refused, too_large, "
            "too_slow, overloaded, unavailable; and requests with a wrong path or method: not_found, wrong_method.",
            ["app", "outcome"],
            registry=self.registry,
        )
        self.webhook_batch = Histogram(
            "dots_gateway_webhook_batch_size",
            "Webhooks written by one commit.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.creations = Counter(
            "dots_gateway_creations_total",
            "Flow creations by outcome: created, replayed, or the code of an error.",
            ["app", "outcome"],
            registry=self.registry,
        )
        self.refreshes = Counter(
            "dots_gateway_refreshes_total",
            "Refreshes by outcome: changed, unchanged, fenced, or the code of an error.",
            ["app", "kind", "outcome"],
            registry=self.registry,
        )
        self.anomalies = Counter(
            "dots_gateway_anomalies_total",
            "Snapshots that lacked steps known to be completed.",
            ["app"],
            registry=self.registry,
        )
        self.found_by_sweep = Counter(
            "dots_gateway_found_by_sweep_total",
            "Changes that a sweep found before any webhook announced them; measures webhook loss.",
            ["app"],
            registry=self.registry,
        )
        self.appended = Counter(
            "dots_gateway_events_appended_total", "Events appended.", ["app"], registry=self.registry
        )
        self.sequenced = Counter(
            "dots_gateway_events_sequenced_total", "Events numbered in the feed.", registry=self.registry
        )
        self.deliveries = Counter(
            "dots_gateway_deliveries_total",
            "Attempts to deliver by outcome: delivered, failed (will be retried), dead (given up), fenced.",
            ["outcome"],
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "dots_gateway_delivery_seconds", "How long subscribers took to answer.", registry=self.registry
        )
        self.published = Counter(
            "dots_gateway_published_total",
            "Events handed to the broker by outcome: confirmed, failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.broker_restarts = Counter(
            "dots_gateway_broker_restarts_total",
            "Times that publishing started again from the earliest event, by reason: other_epoch, expired.",
            ["reason"],
            registry=self.registry,
        )
        self.failed_passes = Counter(
            "dots_gateway_failed_passes_total",
            "Passes of a worker's loop that ended in an error.",
            ["loop"],
            registry=self.registry,
        )
        self.failed_purges = Counter(
            "dots_gateway_failed_purges_total",
            "Steps of the purge that ended in an error: bodies, webhooks, refreshes, events.",
            ["step"],
            registry=self.registry,
        )
        self.http = Histogram(
            "dots_gateway_http_seconds",
            "Time to answer, by route and status; webhooks are counted on their own.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.database_up = Gauge(
            "dots_gateway_database_up", "1 when Postgres answered this scrape.", registry=self.registry
        )
        self.due = Gauge("dots_gateway_due", "Flows and users due to be refreshed.", registry=self.registry)
        self.due_age = Gauge(
            "dots_gateway_oldest_due_seconds", "How long the oldest due refresh has waited.", registry=self.registry
        )
        self.failing = Gauge(
            "dots_gateway_failing", "Flows and users whose last refresh failed.", registry=self.registry
        )
        self.resting = Gauge(
            "dots_gateway_resting",
            "Flows and users whose app is not in the settings.",
            ["app"],
            registry=self.registry,
        )
        self.paused = Gauge(
            "dots_gateway_app_paused", "1 while Dots refuses an app's credentials.", ["app"], registry=self.registry
        )
        self.unsequenced = Gauge(
            "dots_gateway_unsequenced_events", "Events not yet numbered in the feed.", registry=self.registry
        )
        self.feed_position = Gauge("dots_gateway_feed_position", "The feed's last position.", registry=self.registry)
        self.dead = Gauge("dots_gateway_dead", "Flows and users that are dead letters.", registry=self.registry)
        self.overdue_verdicts = Gauge(
            "dots_gateway_overdue_checks", "Background checks pending for too long.", registry=self.registry
        )
        self.checks_to_review = Gauge(
            "dots_gateway_checks_to_review",
            "Background checks that need a person's review.",
            registry=self.registry,
        )
        self.flows_passed_over = Gauge(
            "dots_gateway_passed_over_flows",
            "Open flows that wait only for steps that were passed over.",
            registry=self.registry,
        )
        self.unsettled = Gauge(
            "dots_gateway_unsettled_creations",
            "Creations whose outcome has been unknown for over a minute.",
            registry=self.registry,
        )
        self.due_deliveries = Gauge(
            "dots_gateway_due_deliveries",
            "Delivery queues with a delivery due, of active subscriptions.",
            registry=self.registry,
        )
        self.due_delivery_age = Gauge(
            "dots_gateway_oldest_due_delivery_seconds",
            "How long the oldest due delivery has waited.",
            registry=self.registry,
        )
        self.dead_deliveries = Gauge(
            "dots_gateway_dead_deliveries", "Deliveries that are dead letters.", registry=self.registry
        )
        self.subscriptions = Gauge(
            "dots_gateway_subscriptions",
            "Subscriptions by state: active, broken (its circuit breaker is open), or paused because of: "
            "caller, gone (it answered 410), failing (it failed for days).",
            ["state"],
            registry=self.registry,
        )
        self.broker_lag = Gauge(
            "dots_gateway_broker_lag",
            "Events that the broker has not confirmed, by its URL without credentials.",
            ["broker"],
            registry=self.registry,
        )
        self.broker_failing = Gauge(
            "dots_gateway_broker_failing", "1 while publishing to the broker fails.", ["broker"], registry=self.registry
        )
