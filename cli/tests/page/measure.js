// What is wrong with the page as it is shown: a list of sentences, empty if nothing is.
(() => {
  const faults = [];
  const fault = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
  const width = document.documentElement.clientWidth;
  for (const details of document.querySelectorAll("details")) details.open = true;

  if (document.documentElement.scrollWidth > width) faults.push(`the page scrolls sideways: ${document.documentElement.scrollWidth} px in ${width}`);
  for (const element of document.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    // Tables may be wide: what holds them scrolls.
    if (box.width === 0 || element.closest(".scroll table")) continue;
    if (box.left < -0.5 || box.right > width + 0.5) fault("beyond the edge of the page", element);
  }

  const inside = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1 && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
  const touch = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
  for (const svg of document.querySelectorAll("figure > svg")) {
    const frame = svg.getBoundingClientRect();
    if (frame.height < 30) fault("a plot without height", svg);
    const scale = frame.width / svg.viewBox.baseVal.width;
    const texts = [...svg.querySelectorAll("text")].map(text => ({ text, box: text.getBoundingClientRect() }));
    for (const { text, box } of texts) {
      if (!inside(box, frame)) fault("a label beyond its plot", text);
      const size = parseFloat(getComputedStyle(text).fontSize) * scale;
      if (size < 9) fault(`a label of ${size} px`, text);
    }
    texts.forEach((one, index) => texts.slice(index + 1).forEach(other => {
      if (touch(one.box, other.box)) fault(`a label on "${other.text.textContent}"`, one.text);
    }));
    for (const drawn of svg.querySelectorAll("path, rect, line")) {
      if (!inside(drawn.getBoundingClientRect(), frame)) fault("a stroke beyond its plot", drawn);
    }
  }

  // WCAG 2.2 §1.4.3 and §1.4.11, with the relative luminance of its glossary.
  const channels = color => color.match(/[\d.]+/g).map(Number);
  const luminance = color => {
    const [red, green, blue] = channels(color).map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((channels(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  for (const element of document.querySelectorAll("body *")) {
    const style = getComputedStyle(element);
    if ([...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()) && element.tagName !== "title") {
      const ratio = contrast(element.tagName === "text" ? style.fill : style.color, ground(element));
      if (ratio < 4.5) fault(`text of contrast ${ratio.toFixed(2)}`, element);
    }
    if (element.matches(".line, .bar")) {
      const ratio = contrast(element.matches(".bar") ? style.fill : style.stroke, ground(element));
      if (ratio < (element.matches(".l0, .l1") ? 2.5 : 3)) fault(`a stroke of contrast ${ratio.toFixed(2)}`, element);
    }
  }

  for (const element of document.querySelectorAll("script, link, iframe, object, embed, img, [src], [href], [onload], [onclick]")) fault("not self-contained", element);
  for (const { name } of performance.getEntriesByType("resource")) faults.push(`loaded: ${name}`);
  return { faults, plots: document.querySelectorAll("figure > svg").length, ground: ground(document.body) };
})()
