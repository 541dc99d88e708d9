"""What a Realtime event is made of: typed values that also read like the dicts they came from."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["RealtimeValue", "explain"]


class RealtimeValue(BaseModel):
    """A checked JSON object. Fields are attributes and items; what the provider adds is kept.

    >>> class Point(RealtimeValue):
    ...     x: int
    >>> point = Point.model_validate({"x": 1, "y": 2})
    >>> point.x, point["y"], point.get("z", 3), "z" in point
    (1, 2, 3, False)
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        extra = self.__pydantic_extra__ or {}  # first: the provider may name a field like a method
        return extra[name] if name in extra else getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self.model_fields_set

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or ``default`` where the provider did not send it."""
        if name not in self:
            return default
        return self[name]

    def to_dict(self) -> dict[str, Any]:
        """As it came, in plain dicts and lists."""
        return self.model_dump(exclude_unset=True)

    def with_type(self, name: str) -> Self:
        """The same under another type."""
        return self.model_copy(update={"type": name})


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, and where, in one line; a value is never repeated.

    >>> class Point(RealtimeValue):
    ...     x: int
    >>> try:
    ...     Point.model_validate({"x": "secret"})
    ... except ValidationError as error:
    ...     explain(error)
    'x: input should be a valid integer, unable to parse string as an integer'
    """
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    text = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: {text}" if where else text
