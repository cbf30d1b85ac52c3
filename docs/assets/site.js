// A picture that is wider than the screen begins at its middle, near its first box: its
// left end is empty. It gets its height, which is noticed here, once it is drawn.
for (const diagram of document.querySelectorAll(".diagram")) {
  new ResizeObserver(() => {
    diagram.scrollLeft = (diagram.scrollWidth - diagram.clientWidth) / 2;
  }).observe(diagram);
}
