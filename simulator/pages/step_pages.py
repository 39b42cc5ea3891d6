"""The text, fields and outcomes of each step's page."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from simulator.world.flow import Step


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input. It has no `name` in the form, so the browser never sends its value."""

    label: str
    kind: str = "text"
    placeholder: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An outcome that the tester can choose."""

    value: str
    label: str
    explanation: str


@dataclass(frozen=True, kw_only=True)
class StepPage:
    """The page of a step. `action` labels the button that replaces a hidden Continue button."""

    title: str
    lead: str
    action: str
    fields: tuple[Field, ...] = ()
    choices: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


_FULL_NAME = Field(label="Full name", placeholder="Ada Ashdown")
_DATE_OF_BIRTH = Field(label="Date of birth", kind="date")
_SSN = Field(label="Social Security number", placeholder="000-00-0000")
_ADDRESS = Field(label="Address", placeholder="1 Invented Street, Springfield")

_SIGN_UP = StepPage(
    title="Sign up",
    lead="Dots would create an account for the payee here.",
    action="Sign up",
)

_PAGES = {
    "onboard": _SIGN_UP,
    "authorization": _SIGN_UP,
    "compliance": StepPage(
        title="Tax details",
        lead="Dots would ask for tax details here.",
        action="Submit tax details",
        fields=(_FULL_NAME, _DATE_OF_BIRTH, _SSN, _ADDRESS),
    ),
    "id-verification": StepPage(
        title="Verify your identity",
        lead="Dots would scan a government ID and a face. Here you choose the outcome.",
        action="Submit identity check",
        outcomes=(
            Outcome(value="verified", label="Verified", explanation="ID and face match"),
            Outcome(
                value="failed", label="Not verified", explanation="the step is complete, the identity is not confirmed"
            ),
        ),
    ),
    "background-check": StepPage(
        title="Background check",
        lead="Dots would order a criminal-history check with these details. Here you choose the outcome.",
        action="Submit background check",
        fields=(_FULL_NAME, _DATE_OF_BIRTH, _SSN),
        outcomes=(
            Outcome(value="cleared", label="Clear", explanation="status pass, no criminal activity"),
            Outcome(value="flagged", label="Flagged", explanation="status failed, criminal activity"),
            Outcome(
                value="pending", label="Pending for later", explanation="decide later, in the overview or by /_control"
            ),
            Outcome(value="consider", label="Consider", explanation="a person at Dots must review it"),
        ),
    ),
    "manage-payments": StepPage(
        title="Connect a bank account",
        lead="Dots would connect a US bank account for payments to the app.",
        action="Connect bank account",
        choices=("Simulated Savings Bank ····0000", "First Imaginary Credit Union ····1111"),
    ),
    "manage-payouts": StepPage(
        title="Choose how you are paid",
        lead="Dots would save payout methods here; one of them is the default.",
        action="Save payout method",
        choices=("Bank transfer (ACH) ····0000", "Debit card ····1111", "Digital wallet"),
    ),
    "payout": StepPage(
        title="Withdraw your balance",
        lead="Dots would pay out the balance of the wallet. This wallet is always empty.",
        action="Withdraw",
    ),
    "pdf-form-fill": StepPage(
        title="Fill in a form",
        lead="Dots would show a PDF form to fill in and sign.",
        action="Submit form",
        fields=(Field(label="Signature", placeholder="Ada Ashdown"),),
    ),
}


def page_of(step: Step) -> StepPage:
    """The page of a step; a plain page for an undocumented step."""
    if step.name == "redirect":
        return StepPage(
            title="One more stop",
            lead=f"You will be sent to {urlsplit(redirect_url(step)).netloc}.",
            action="Go there",
        )
    unknown = StepPage(
        title=step.name,
        lead="The simulator does not know this step. You can only complete it.",
        action="Finish this step",
    )
    return _PAGES.get(step.name, unknown)


def redirect_url(step: Step) -> str:
    """The URL of a `redirect` step."""
    url: Any = step.options.get("redirect_url", "/")
    return str(url)
