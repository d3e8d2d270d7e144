// The areas of a plan that are not seats (stage, standing area, bar), normalized to an outline, a box and a text.

/** Accepts a rectangle, circle, ellipse, polygon, or a text alone; the text is a string or `{text, position}`. */
export function normalizeArea(area) {
  const at = { x: area.position?.x ?? area.x ?? 0, y: area.position?.y ?? area.y ?? 0 };
  const box = boxOf(area, at);
  const text = typeof area.text === 'object' ? area.text?.text : area.text;
  return { ...box, text: text ?? '', outline: outlineOf(area, at, box) };
}

function boxOf(area, { x, y }) {
  if (area.polygon) {
    const xs = area.polygon.points.map((point) => x + point.x);
    const ys = area.polygon.points.map((point) => y + point.y);
    return {
      x: Math.min(...xs),
      y: Math.min(...ys),
      width: Math.max(...xs) - Math.min(...xs),
      height: Math.max(...ys) - Math.min(...ys),
    };
  }
  const radius = area.ellipse?.radius ?? (area.circle && { x: area.circle.radius, y: area.circle.radius });
  if (radius) return { x: x - radius.x, y: y - radius.y, width: radius.x * 2, height: radius.y * 2 };
  const size = area.rectangle ?? area;
  return { x, y, width: size.width ?? 0, height: size.height ?? 0 };
}

function outlineOf(area, at, box) {
  const path = new Path2D();
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  if (area.polygon) {
    area.polygon.points.forEach((point, index) =>
      index ? path.lineTo(at.x + point.x, at.y + point.y) : path.moveTo(at.x + point.x, at.y + point.y),
    );
    path.closePath();
  } else if (area.circle || area.ellipse) {
    path.ellipse(middle.x, middle.y, box.width / 2, box.height / 2, 0, 0, 6.2832);
  } else {
    path.roundRect(box.x, box.y, box.width, box.height, Math.min(box.width, box.height) * 0.08);
  }
  return area.rotation ? rotated(path, area.rotation, at) : path;
}

function rotated(path, degrees, { x, y }) {
  const whole = new Path2D();
  whole.addPath(path, new DOMMatrix().translate(x, y).rotate(degrees).translate(-x, -y));
  return whole;
}
