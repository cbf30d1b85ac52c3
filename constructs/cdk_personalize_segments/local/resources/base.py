"""What a kind of CloudFormation resource is, to the stack that has one."""

import contextlib
import string
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from botocore.exceptions import ClientError

from cdk_personalize_segments.local.resources.coercion import CoercingClient, is_true
from cdk_personalize_segments.local.untyped import Client, Json

if TYPE_CHECKING:
    from cdk_personalize_segments.local.aws import LocalAws

Properties = Mapping[str, Any]

_RANDOM_LENGTH: Final = 12
_GONE: Final = ("DoesNotExist", "NoSuch", "NotFound", "NonExistent")


class ResourceError(Exception):
    """A resource cannot be made as declared."""


@dataclass(frozen=True)
class Place:
    """The stack that a resource belongs to, and the account that it is in.

    Attributes:
        aws: The local AWS.
        region: The stack's Region.
        stack_name: Its name.
        adopts: Whether existing buckets with explicit names are taken over.
        stack_id: Its ARN.
        answers: What custom resources answered in this deployment, by physical id.
    """

    aws: "LocalAws"
    region: str
    stack_name: str
    adopts: bool
    stack_id: str
    answers: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Client:
        """Give a boto3 client that takes values as templates have them."""
        return CoercingClient(self.aws.client(service, self.region))

    def arn(self, service: str, resource: str) -> str:
        """Give the ARN of something in this account and Region."""
        return f"arn:aws:{service}:{self.region}:{self.aws.account_id}:{resource}"

    def new_id(self, logical_id: str) -> str:
        """Make up a UUID.

        Args:
            logical_id: The logical id of the resource that it is for.
        """
        return self.aws.new_id(f"{self.region}/{self.stack_name}/{logical_id}")

    def new_name(self, logical_id: str, longest: int) -> str:
        """Make up a physical name: stack, logical id and random characters.

        Args:
            logical_id: The resource's logical id.
            longest: How long the service lets it be.
        """
        chance = self.aws.chance(f"{self.region}/{self.stack_name}/{logical_id}")
        characters = chance.choices(
            string.ascii_uppercase + string.digits, k=_RANDOM_LENGTH
        )
        left = longest - _RANDOM_LENGTH - 2
        stack = self.stack_name[: max(left - len(logical_id), left // 2)]
        return f"{stack}-{logical_id[: left - len(stack)]}-{''.join(characters)}"


class ResourceType(ABC):
    """A kind of resource: what of it is honoured, and how it is made.

    Attributes:
        type: Its CloudFormation name.
        honoured: The properties that reach the service, where its API shows them, as
            dotted paths through maps and lists; `.*` at the end stands for everything
            below.
        named_by: The property with the physical name, of a type whose API would change
            what has that name already instead of refusing it.
        replaced_on: The top-level properties whose change makes a new resource.
        stack_tags: Whether the stack's tags are added to its `Tags`.
        kept: What of it is only kept and read back, though AWS acts on it.
    """

    type: ClassVar[str]
    honoured: ClassVar[frozenset[str]]
    named_by: ClassVar[str | None] = None
    replaced_on: ClassVar[frozenset[str]] = frozenset()
    stack_tags: ClassVar[bool] = False
    kept: ClassVar[str | None] = None

    def refuse_taken(self, place: Place, new: Properties) -> None:
        """Refuse an explicit name that something has already, of this stack or not.

        Raises:
            ResourceError: It exists.
        """
        if self.named_by is None or self.named_by not in new:
            return
        try:
            found = self.find(place, new)
        except ClientError:
            # There is none, or the call that is to make it says what is wrong.
            return
        if found:
            raise ResourceError(
                f"Resource of type '{self.type}' with identifier "
                f"'{new[self.named_by]}' already exists."
            )

    def find(self, place: Place, new: Properties) -> Json:
        """Look for what has the declared name, of a type that is `named_by` one.

        Returns:
            Nothing, or something that is true where it exists.

        Raises:
            ClientError: There is none.
        """
        return None

    @abstractmethod
    def create(self, place: Place, logical_id: str, new: Properties) -> str:
        """Make the resource and return its physical id, the value of `Ref`."""

    def update(
        self, place: Place, physical_id: str, old: Properties, new: Properties
    ) -> str | None:
        """Change the resource in place.

        Returns:
            None, or the physical id of another resource that it made instead.
        """
        raise ResourceError(f"{self.type} cannot be updated")

    @abstractmethod
    def delete(self, place: Place, physical_id: str, old: Properties) -> None:
        """Delete the resource."""

    def attributes(
        self, place: Place, physical_id: str, properties: Properties
    ) -> dict[str, str]:
        """Give what `Fn::GetAtt` knows of the resource."""
        return {}

    @contextlib.contextmanager
    def finishing(
        self, place: Place, physical_id: str, new: Properties
    ) -> Iterator[None]:
        """Delete what was made if the rest of its creation fails.

        The call that makes it must come before: what it refuses was not made, or is
        somebody else's.
        """
        try:
            yield
        except Exception as error:
            try:
                self.delete(place, physical_id, new)
            except Exception as other:
                error.add_note(f"{physical_id} is left behind: {other}")
            raise

    def unhonoured(self, properties: Json) -> list[str]:
        """Name the properties that would not take effect.

        Args:
            properties: The properties, or their shape.
        """
        return list(dict.fromkeys(_unhonoured(properties, "", self.honoured)))


def api_tags(properties: Properties) -> list[dict[str, str]]:
    """Give the tags as most APIs take them."""
    return list(properties.get("Tags", []))


def tag_map(properties: Properties) -> dict[str, str]:
    """Give the tags as a map."""
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}


def flag(properties: Properties, name: str, *, default: bool) -> bool:
    """Read a boolean property, which may be text.

    Args:
        properties: The properties.
        name: The property.
        default: What it is if it is not given.

    Raises:
        ResourceError: It is neither true nor false.
    """
    try:
        return is_true(properties.get(name, default))
    except ValueError as error:
        raise ResourceError(f"{name} must be true or false, got {error}") from None


def changed(old: Properties, new: Properties) -> set[str]:
    """Name the properties that differ."""
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def chosen(properties: Properties, *names: str) -> dict[str, Any]:
    """Give those of some properties that are set."""
    return {name: properties[name] for name in names if name in properties}


def is_gone(error: ClientError) -> bool:
    """Tell whether an error says that the resource does not exist."""
    return any(word in str(error.response["Error"]["Code"]) for word in _GONE)


def lower_first(value: Json) -> Json:
    """Spell the keys of a structure with a small first letter, as some APIs do."""
    if isinstance(value, Mapping):
        return {
            key[0].lower() + key[1:]: lower_first(each) for key, each in value.items()
        }
    if isinstance(value, list):
        return [lower_first(each) for each in value]
    return value


def _unhonoured(value: Json, path: str, honoured: frozenset[str]) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _unhonoured(each, path, honoured)
    elif path in honoured or f"{path}.*" in honoured:
        return
    elif path and not any(each.startswith(f"{path}.") for each in honoured):
        yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _unhonoured(each, f"{path}.{key}" if path else key, honoured)
