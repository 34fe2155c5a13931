// Draws figures for the width that they have, and again when it changes.

const drawers = new WeakMap();
const observer = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const drawer = drawers.get(target);
    const width = Math.floor(contentRect.width);
    if (drawer && width > 0 && width !== drawer.width) {
      drawer.width = width;
      drawer.draw(width);
    }
  }
});

/** Calls `draw(width)` with the inner width of `container` now, if it is visible, and after each change. */
export function drawToFit(container, draw) {
  const width = Math.floor(container.clientWidth);
  drawers.set(container, { draw, width });
  observer.observe(container);
  if (width > 0) draw(width);
}
