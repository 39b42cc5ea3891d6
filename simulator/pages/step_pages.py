"""What the page of each step says, and which fields and outcomes it offers."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from simulator.world.flow import Step


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input. It has no `name` in the form, so what is typed never leaves the browser."""

    label: str
    kind: str = "text"
    placeholder: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the tester lets a check end."""

    value: str
    label: str
    explanation: str


@dataclass(frozen=True, kw_only=True)
class StepPage:
    """The page of a step. `action` is its own button, which takes over where Continue is hidden."""

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
    lead="Dots would make an account for the payee here.",
    action="Sign up",
)

_PAGES = {
    "onboard": _SIGN_UP,
    "authorization": _SIGN_UP,
    "compliance": StepPage(
        title="Tax details",
        lead="Payers in the US must know who they pay. Dots asks for tax data here.",
        action="Submit tax details",
        fields=(_FULL_NAME, _DATE_OF_BIRTH, _SSN, _ADDRESS),
    ),
    "id-verification": StepPage(
        title="Verify your identity",
        lead="Dots would scan a government ID and a face. Here you choose how that ends.",
        action="Submit identity check",
        outcomes=(
            Outcome(value="verified", label="Verified", explanation="ID and face match"),
            Outcome(
                value="failed", label="Not verified", explanation="the step is done, the identity is not confirmed"
            ),
        ),
    ),
    "background-check": StepPage(
        title="Background check",
        lead="Dots would order a criminal-history check with these details. Here you choose how it ends.",
        action="Submit background check",
        fields=(_FULL_NAME, _DATE_OF_BIRTH, _SSN),
        outcomes=(
            Outcome(value="cleared", label="Clear", explanation="status pass, no criminal activity"),
            Outcome(value="flagged", label="Flagged", explanation="status failed, criminal activity"),
            Outcome(value="pending", label="Pending for later", explanation="decide from the overview or by /_control"),
            Outcome(value="consider", label="Consider", explanation="somebody at Dots has to look"),
        ),
    ),
    "manage-payments": StepPage(
        title="Connect a bank account",
        lead="Dots connects a US bank account from which payments to the app are taken.",
        action="Connect bank account",
        choices=("Simulated Savings Bank ····0000", "First Imaginary Credit Union ····1111"),
    ),
    "manage-payouts": StepPage(
        title="Choose how you are paid",
        lead="Dots keeps one or more payout methods, of which one is the default.",
        action="Save payout method",
        choices=("Bank transfer (ACH) ····0000", "Debit card ····1111", "Digital wallet"),
    ),
    "payout": StepPage(
        title="Withdraw your balance",
        lead="Dots pays out what is in the wallet. This wallet is empty, and stays so.",
        action="Withdraw",
    ),
    "pdf-form-fill": StepPage(
        title="Fill in a form",
        lead="Dots shows a PDF form to fill in and sign.",
        action="Submit form",
        fields=(Field(label="Signature", placeholder="Ada Ashdown"),),
    ),
}


def page_of(step: Step) -> StepPage:
    """The page of a step, a plain one when Dots documents no step of that name."""
    if step.name == "redirect":
        return StepPage(
            title="One more stop",
            lead=f"You will be sent to {urlsplit(redirect_url(step)).netloc}.",
            action="Go there",
        )
    unknown = StepPage(
        title=step.name,
        lead="The simulator does not know this step. Completing it is all there is to do.",
        action="Finish this step",
    )
    return _PAGES.get(step.name, unknown)


def redirect_url(step: Step) -> str:
    """Where a `redirect` step leads."""
    url: Any = step.options.get("redirect_url", "/")
    return str(url)
