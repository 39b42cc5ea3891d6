"""The webhooks that Dots publishes, with invented values, and what each of them names."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_SAMPLES = json.loads(Path(__file__).with_name("dots-samples.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class WebhookSample:
    """One published webhook; `kind` is what our service has to look at, None for nothing."""

    name: str
    body: dict[str, Any]
    kind: Literal["flow", "user"] | None

    @property
    def raw(self) -> bytes:
        """The body as bytes."""
        return json.dumps(self.body).encode()

    @property
    def subject_id(self) -> str | None:
        """The id of what is looked at: of two users that were merged, the new one."""
        if self.kind == "user":
            return str(self.body.get("new_user_id") or self.body["user_id"])
        return str(self.body["flow_id"]) if self.kind == "flow" else None


def _read(number: int, sample: dict[str, Any]) -> WebhookSample:
    subject = sample["subject"]
    kind = None if subject is None else subject.split(":")[0].split(",")[0]
    assert kind in {"flow", "user", None}
    return WebhookSample(name=f"{number} {sample['published_as']}", body=sample["body"], kind=kind)


SAMPLES = [_read(number, sample) for number, sample in enumerate(_SAMPLES["webhooks"])]
