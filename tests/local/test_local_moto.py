"""What is said when another moto than the pinned one is installed."""

import json
import warnings
from importlib import metadata
from typing import Any

import pytest
from moto import mock_aws
from moto.awslambda.models import LambdaFunction
from moto.s3.models import FakeBucket
from moto.stepfunctions.models import StepFunctionBackend

from cdk_personalize_segments.local import (
    LocalAws,
    LocalAwsError,
    moto_names,
    patching,
)

# What a running local AWS replaces cannot be compared with the record.
UNPATCHED = "moto.stepfunctions.models.StepFunctionBackend.describe_state_machine"


@pytest.fixture
def another_moto(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install another version, with a record of what the pinned one had of it."""
    monkeypatch.setattr(metadata, "version", lambda _: "6.0.0")

    def having(*, replaced: Any = None, imported: tuple[str, ...] = ()) -> None:
        record = {"replaced": replaced or {}, "imported": imported}
        monkeypatch.setattr(moto_names, "read", lambda: record)

    return having


def test_a_missing_moto_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(
        LocalAwsError, match=r"not installed; run pip install '.*\[local\]"
    ):
        patching.check_moto()


def test_the_pinned_moto_is_used_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        patching.check_moto()


def test_another_moto_with_the_same_names_is_used_with_a_warning(
    another_moto: Any,
) -> None:
    recorded = moto_names.describe(vars(StepFunctionBackend)["describe_state_machine"])
    another_moto(
        replaced={UNPATCHED: recorded}, imported=("moto.s3.models.FakeBucket",)
    )
    with pytest.warns(UserWarning, match=r"moto 6\.0\.0 is installed; none of the"):
        patching.check_moto()


def test_another_moto_is_refused_with_all_that_changed_in_it(
    another_moto: Any,
) -> None:
    function = "moto.awslambda.models.LambdaFunction"
    same = moto_names.describe(LambdaFunction.save_logs)
    another_moto(
        replaced={
            f"{function}.gone": same,
            "moto.no_such_module.name": same,
            f"{function}.save_logs": {**same, "kind": "staticmethod"},
            f"{function}.delete": {
                **moto_names.describe(LambdaFunction.delete),
                "signature": "(self, other)",
            },
            UNPATCHED: {
                **moto_names.describe(StepFunctionBackend.describe_state_machine),
                "source": "another",
            },
        },
        imported=("moto.s3.models.FakeBucket", "moto.s3.models.NoSuchName"),
    )
    with pytest.raises(LocalAwsError) as refused:
        patching.check_moto()
    assert str(refused.value) == (
        "local AWS fits moto 5.2.5, and in moto 6.0.0, which is installed, these are "
        f"gone: {function}.gone, moto.no_such_module.name, "
        f"moto.s3.models.NoSuchName; these are of another kind: {function}.save_logs; "
        f"these have another signature: {function}.delete; these have another source: "
        f"{UNPATCHED}; run pip install 'cdk-personalize-segments[local]'"
    )


def test_the_record_has_every_name_that_is_replaced_or_imported(aws: LocalAws) -> None:
    assert aws.endpoint_url
    made = moto_names.make(patching.originals())
    assert json.loads(json.dumps(made)) == moto_names.read(), (
        "run `make moto-names`, and see what changed in the record"
    )


@pytest.mark.bridge("moto.core.models.MockAWS.reset")
def test_moto_s_own_mocks_may_not_erase_the_account(aws: LocalAws) -> None:
    assert aws.endpoint_url
    with pytest.raises(LocalAwsError, match="mock_aws would erase"):
        mock_aws().start()


def test_a_name_that_moto_no_longer_has_is_named() -> None:
    with pytest.raises(
        LocalAwsError,
        match=r"moto 5\.2\.5 has no 'gone' in moto\.s3\.models\.FakeBucket, which",
    ):
        patching.patch(FakeBucket, "gone", None)


def test_static_methods_functions_and_tables_tell_themselves_apart() -> None:
    class Owner:
        @staticmethod
        def work(a: int, b: str = "x") -> None: ...

    described = moto_names.describe(vars(Owner)["work"])
    assert described["kind"] == "staticmethod"
    assert described["signature"] == "(a, b='x')"
    assert moto_names.describe(Owner.work)["kind"] == "function"
    one, other = ({key: object()} for key in ("one", "other"))
    assert moto_names.describe(one) != moto_names.describe(other)
    assert moto_names.describe(one) == moto_names.describe({"one": object()})


def test_replacements_are_undone_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    class Base:
        inherited = "base"

    class Owner(Base):
        @staticmethod
        def plain() -> str:
            return "original"

    # Those of the account that other tests use stay in place.
    monkeypatch.setattr(patching, "_undo", [])
    monkeypatch.setattr(patching, "_originals", {})
    assert patching.patch(Owner, "plain", lambda: "first")() == "original"
    patching.patch(Owner, "plain", lambda: "second")
    patching.patch(Owner, "inherited", "own")
    assert (Owner.plain(), Owner.inherited) == ("second", "own")
    patching.restore_all()
    assert (Owner().plain(), Owner.inherited) == ("original", "base")
    assert "inherited" not in vars(Owner)
    assert patching.originals() == {}
