"""The areas of a plan in pretix's format: shapes around the seats such as stages, bars, standing areas and captions."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ticketing.infra.http.fields import LongText

AREAS_MAX = 1_000
#: CSS colours of any syntax, without characters that could end a style declaration or an attribute.
Color = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[#A-Za-z0-9(),.%/ -]{1,50}$")]
#: In units of the plan; a unit is about one pixel.
Length = Annotated[float, Field(strict=True, ge=-1_000_000, le=1_000_000, allow_inf_nan=False)]
Extent = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]


class Part(BaseModel):
    """A part of a plan. Unknown fields are ignored, because pretix's editor keeps adding fields to the format."""

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
    """A polygon. Points are relative to the area's position."""

    points: Annotated[list[Point], Field(min_length=3, max_length=1_000)]


class Caption(Part):
    """A caption. Its position is relative to the area's position."""

    text: LongText
    position: Point = ORIGIN
    color: Color | None = None
    size: Extent | None = None


def _none_if_empty(text: Caption | str) -> Caption | str | None:
    return text or None


class Area(Part):
    """A shape. Older files have the width and height of a rectangle, and the text as a string, directly in the area."""

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
    text: Annotated[Caption | LongText | None, AfterValidator(_none_if_empty)] = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        shape = self.kind
        is_flat = shape == "rectangle" and self.width is not None and self.height is not None
        if getattr(self, shape) is None and not is_flat:
            raise ValueError(f"must have {'a width and a height' if shape == 'rectangle' else shape}")
        return self

    @property
    def kind(self) -> str:
        """The declared shape, or else the shape whose dimensions are given."""
        if self.shape is not None:
            return self.shape
        measured = [name for name in ("polygon", "ellipse", "circle", "rectangle") if getattr(self, name) is not None]
        return measured[0] if measured else "text" if self.width is None and self.text is not None else "rectangle"

    def placed(self, zone: Point) -> dict[str, Any]:
        """Return the area as it is stored: in the form of the file, with its position relative to the plan's corner."""
        fields = self.model_dump(exclude_none=True)
        return {**fields, "shape": self.kind, "position": (zone + self.position).model_dump()}

    def reach(self, zone: Point) -> Point:
        """Return the bottom right corner of a rectangle, or the position of any other shape: see `_measure`."""
        size = self.rectangle or Rectangle.model_construct(width=self.width or 0, height=self.height or 0)
        return zone + self.position + Point.model_construct(x=size.width, y=size.height)
