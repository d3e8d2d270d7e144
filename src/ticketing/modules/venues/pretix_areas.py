"""The shapes around the seats in pretix's format: stages, bars, standing areas, captions."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ticketing.infra.http.fields import LongText

#: Whatever CSS takes for a colour, and nothing that could end a style or an attribute.
Color = Annotated[str, StringConstraints(pattern=r"^[#A-Za-z0-9(),.%/ -]{1,50}$")]
#: Units of the plan, about a pixel each.
Length = Annotated[float, Field(strict=True, ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]
Extent = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]


class Part(BaseModel):
    """A piece of a plan. Fields that we have no use for are let through: the format grows with its editor."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Point(Part):
    x: Length
    y: Length

    def __add__(self, other: "Point") -> "Point":
        return Point.model_construct(x=self.x + other.x, y=self.y + other.y)


ORIGIN = Point(x=0, y=0)


class Rectangle(Part):
    width: Extent
    height: Extent


class Circle(Part):
    radius: Extent


class Radii(Part):
    x: Extent
    y: Extent


class Ellipse(Part):
    radius: Radii


class Polygon(Part):
    """Its points count from the area's position."""

    points: Annotated[list[Point], Field(min_length=3, max_length=1_000)]


class Caption(Part):
    """Its position counts from the area's position."""

    text: LongText
    position: Point = ORIGIN
    color: Color | None = None
    size: Extent | None = None


def _caption_or_words(text: Caption | str) -> Caption | str | None:
    return text or None


class Area(Part):
    """A shape; older files have the width and height of a rectangle, and the words, directly in the area."""

    shape: Literal["rectangle", "circle", "ellipse", "polygon", "text"] | None = None
    position: Point = ORIGIN
    rotation: Length | None = None
    color: Color | None = None
    border_color: Color | None = None
    width: Extent | None = None
    height: Extent | None = None
    rectangle: Rectangle | None = None
    circle: Circle | None = None
    ellipse: Ellipse | None = None
    polygon: Polygon | None = None
    text: Annotated[Caption | LongText | None, AfterValidator(_caption_or_words)] = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        shape = self.kind
        is_flat = shape == "rectangle" and self.width is not None and self.height is not None
        if getattr(self, shape) is None and not is_flat:
            raise ValueError(f"must have {'a width and a height' if shape == 'rectangle' else shape}")
        return self

    @property
    def kind(self) -> str:
        """The shape that is said, or the one whose measures are there."""
        if self.shape is not None:
            return self.shape
        measured = [name for name in ("polygon", "ellipse", "circle", "rectangle") if getattr(self, name) is not None]
        return measured[0] if measured else "text" if self.width is None and self.text is not None else "rectangle"

    def placed(self, zone: Point) -> dict[str, Any]:
        """As it is kept: the form in which it came, with the position counted from the corner of the plan."""
        kept = self.model_dump(exclude_none=True)
        return {**kept, "shape": self.kind, "position": (zone + self.position).model_dump()}

    def reach(self, zone: Point) -> Point:
        """The far corner of what it covers, as far as that decides about the size of the plan."""
        size = self.rectangle or Rectangle.model_construct(width=self.width or 0, height=self.height or 0)
        return zone + self.position + Point.model_construct(x=size.width, y=size.height)
