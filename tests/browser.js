// What a page looks like to a reader, as a list of plain faults. Run inside the page by browser.py.
// Geometry first: every line of every text as a box, then what is wrong with the boxes.

const sight = arguments[0];
const root = document.documentElement;
const faults = [];

const round = (n) => Math.round(n * 10) / 10;
const short = (text) => text.trim().replace(/\s+/g, " ").slice(0, 24);

function name(element) {
  const own = element.id ? "#" + element.id : "";
  const kinds = element.getAttribute("class");
  return element.tagName.toLowerCase() + own + (kinds ? "." + kinds.trim().split(/\s+/).join(".") : "");
}

// A text for screen readers only stands in a box of one pixel.
function forEarsOnly(element) {
  for (let up = element; up && up !== document.body; up = up.parentElement) {
    const style = getComputedStyle(up);
    if (style.position === "absolute" && up.offsetWidth <= 1 && style.overflow !== "visible") return true;
  }
  return false;
}

function scale(element) {
  const drawing = element.closest("svg");
  if (!drawing || !element.getScreenCTM) return 1;
  const matrix = element.getScreenCTM();
  return Math.sqrt(Math.abs(matrix.a * matrix.d - matrix.b * matrix.c));
}

// One box for each line of each text. A line's box is as high as the font may reach; what is
// drawn of it is less, and lines may well stand closer than their boxes.
function lines() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, template, title, desc, noscript")) continue;
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    if (forEarsOnly(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 0.5 || box.height < 0.5) continue;
      found.push({
        text: short(node.data), node, element,
        left: box.left + scrollX, right: box.right + scrollX,
        top: box.top + scrollY + box.height * 0.18, bottom: box.bottom + scrollY - box.height * 0.12,
      });
    }
  }
  return found;
}

function overflow() {
  if (root.clientWidth !== sight.width) {
    faults.push(`width: the page is laid out ${root.clientWidth} wide instead of ${sight.width}`);
  }
  if (document.scrollingElement.scrollWidth > root.clientWidth + 1) {
    const wide = [...document.body.querySelectorAll("*")].filter(
      (one) => one.getBoundingClientRect().right > root.clientWidth + 1 && !one.closest(".scroll > *"));
    faults.push(`scroll: the page is ${document.scrollingElement.scrollWidth} wide` +
      ` on ${root.clientWidth} (${wide.slice(0, 3).map(name).join(", ")})`);
  }
  for (const one of document.body.querySelectorAll("*")) {
    const way = getComputedStyle(one).overflowX;
    if ((way === "auto" || way === "scroll") && one.scrollWidth > one.clientWidth + 1) {
      if (!one.classList.contains("scroll") || sight.printed) faults.push(`scroll: inside ${name(one)}`);
    }
  }
}

function cut(texts) {
  for (const line of texts) {
    let scrolls = false;
    for (let up = line.element; up && up !== document.body; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (style.display === "inline" && up.tagName !== "svg") continue;
      if (style.overflowX === "auto" || style.overflowX === "scroll") { scrolls = true; continue; }
      if (style.overflowX === "visible" && style.overflowY === "visible") continue;
      const box = up.getBoundingClientRect();
      const [left, top] = [box.left + scrollX, box.top + scrollY];
      const over = Math.max(left - line.left, line.right - left - box.width,
        top - line.top, line.bottom - top - box.height);
      if (over > 1) faults.push(`cut: “${line.text}” by ${name(up)}, ${round(over)} px`);
    }
    if (!scrolls && (line.left < -1 || line.right > root.clientWidth + 1 || line.top < -1)) {
      faults.push(`cut: “${line.text}” by the edge of the page`);
    }
  }
}

function overlaps(texts) {
  const sorted = [...texts].sort((a, b) => a.top - b.top);
  sorted.forEach((one, place) => {
    for (let next = place + 1; next < sorted.length && sorted[next].top < one.bottom - 1; next++) {
      const other = sorted[next];
      if (other.node === one.node) continue;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (wide > 1 && high > 1) {
        faults.push(`overlap: “${one.text}” and “${other.text}”, ${round(wide)} × ${round(high)} px`);
      }
    }
  });
}

function small(texts) {
  for (const line of texts) {
    const size = parseFloat(getComputedStyle(line.element).fontSize) * scale(line.element);
    if (size < 9) faults.push(`small: “${line.text}” is ${round(size)} px`);
  }
}

// --- colours ---

function colour(text) {
  const numbers = (text.match(/-?[\d.]+(e-?\d+)?%?/g) || []).map(parseFloat);
  if (text === "transparent" || text === "none" || numbers.length < 3) return [0, 0, 0, 0];
  if (text.startsWith("color(")) return [...numbers.slice(0, 3).map((n) => n * 255), numbers[3] ?? 1];
  return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
}

function over(top, below) {
  const a = top[3];
  return [0, 1, 2].map((n) => top[n] * a + below[n] * (1 - a)).concat(1);
}

function luminance(c) {
  const [r, g, b] = c.slice(0, 3).map((n) => {
    const s = n / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

function opacity(element) {
  let all = 1;
  for (let up = element; up; up = up.parentElement) all *= parseFloat(getComputedStyle(up).opacity);
  return all;
}

function isText(element) {
  return ["text", "tspan", "textPath"].includes(element.tagName);
}

// The colour an element lays on the page: a box its background, a shape its fill. None of a text.
function laid(element) {
  const style = getComputedStyle(element);
  let found;
  if (element instanceof SVGElement && element.tagName !== "svg") {
    if (isText(element)) return [0, 0, 0, 0];
    found = colour(style.fill);
    found[3] *= parseFloat(style.fillOpacity);
  } else {
    if (style.backgroundImage !== "none") return null;
    found = colour(style.backgroundColor);
    if (sight.printed && style.printColorAdjust !== "exact") found[3] = 0;
  }
  found[3] *= opacity(element);
  return found;
}

function ground(line, x, y) {
  const stack = document.elementsFromPoint(x, y);
  const layers = [];
  for (const element of stack) {
    if (element !== line.element && !element.contains(line.element) && isAbove(element, line.element)) continue;
    const layer = laid(element);
    if (layer === null) return null;
    layers.push(layer);
    if (layer[3] >= 0.999) break;
  }
  let below = canvas;
  for (const layer of layers.reverse()) below = over(layer, below);
  return below;
}

// What there is where nobody lays a colour: white paper, or the browser's own ground by its scheme.
function bare() {
  if (sight.printed) return [255, 255, 255, 1];
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.backgroundColor = "Canvas";
  const found = colour(getComputedStyle(probe).backgroundColor);
  probe.remove();
  return found;
}

// Drawn later, so nearer to the reader than the text: that is for `covered`, not for `contrast`.
function isAbove(element, text) {
  return Boolean(text.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING);
}

function colours(texts) {
  const seen = new Set();
  for (const line of texts) {
    const style = getComputedStyle(line.element);
    const drawn = isText(line.element);
    const ink = colour(drawn ? style.fill : style.color);
    if (drawn) ink[3] *= parseFloat(style.fillOpacity);
    ink[3] *= opacity(line.element);
    const size = parseFloat(style.fontSize) * scale(line.element);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    const y = (line.top + line.bottom) / 2 - scrollY;
    const inset = Math.min(2, (line.right - line.left) / 4);
    for (const x of [line.left + inset, (line.left + line.right) / 2, line.right - inset]) {
      let below = ground(line, x - scrollX, y);
      if (below === null) {
        faults.push(`contrast: “${line.text}” stands on a picture`);
        break;
      }
      // A halo of the paper's colour round a label is what the label stands on.
      if (drawn && style.paintOrder.startsWith("stroke") && parseFloat(style.strokeWidth) >= 2) {
        below = over(colour(style.stroke), below);
      }
      const shown = contrast(over(ink, below), below);
      if (shown < (large ? 3 : 4.5) - 0.005) {
        const told = `contrast: “${line.text}” ${shown.toFixed(2)} (${name(line.element)})`;
        if (!seen.has(told)) faults.push(told);
        seen.add(told);
        break;
      }
    }
  }
}

function covered(texts) {
  for (const line of texts) {
    const x = (line.left + line.right) / 2 - scrollX, y = (line.top + line.bottom) / 2 - scrollY;
    for (const element of document.elementsFromPoint(x, y)) {
      if (element === line.element || element.contains(line.element) || line.element.contains(element)) break;
      const layer = laid(element);
      if (layer === null || layer[3] > 0.5) {
        faults.push(`covered: “${line.text}” by ${name(element)}`);
        break;
      }
    }
  }
}

// --- glyphs ---

function glyphs(texts) {
  const board = document.createElement("canvas");
  board.width = board.height = 40;
  const pen = board.getContext("2d", { willReadFrequently: true });
  const drawn = (sign, font) => {
    pen.clearRect(0, 0, 40, 40);
    pen.font = font;
    pen.fillText(sign, 4, 30);
    return pen.getImageData(0, 0, 40, 40).data.join();
  };
  const blank = drawn(" ", "24px sans-serif");
  const boxes = {};
  const seen = new Set();
  for (const line of texts) {
    const style = getComputedStyle(line.element);
    const font = `${style.fontWeight} 24px ${style.fontFamily}`;
    // Code points that will never be a letter: what is drawn for them stands for every lack.
    boxes[font] ??= ["\uFFFF", "\u{10FFFE}", "\u0378"].map((sign) => drawn(sign, font));
    for (const sign of line.node.data) {
      if (seen.has(font + sign) || !/\P{White_Space}/u.test(sign) || /[\p{Cf}\uFE00-\uFE0F]/u.test(sign)) continue;
      seen.add(font + sign);
      const picture = drawn(sign, font);
      if (picture === blank || boxes[font].includes(picture)) {
        const code = sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
        faults.push(`glyph: U+${code} “${sign}” has no picture`);
      }
    }
  }
}

const texts = lines();
const canvas = bare();
if (!texts.length) faults.push("text: the page shows none");
overflow();
cut(texts);
overlaps(texts);
small(texts);
colours(texts);
covered(texts);
glyphs(texts);
return faults;
