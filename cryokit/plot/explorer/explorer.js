// The explorer: a micrograph with its picks, to look at and to edit. One module with two homes: a page of its own calls
// `mount`, JupyterLab calls `render` (anywidget). No framework, and nothing is fetched from anywhere.
//
// Coordinates are those of cryokit: centres in pixels of the micrograph as stored, the centre of the first pixel is 0.

// --- matching, as in cryokit/evaluate/matching.py ------------------------------------------------------------------

const ROUNDING = 1e-9; // a pair exactly at the limit matches
const NEAR_TIE = 1e-9; // total distances closer than this are equal

// Returns the pairs of a place and a point that are at most `reach` (one for each point) apart.
export function candidates(places, points, reach) {
  const pairs = { pick: [], label: [], distance: [] };
  const cell = reach.reduce((most, value) => Math.max(most, value), 1) * (1 + 2 * ROUNDING);
  const grid = new Map();
  const key = (column, row) => column * 4194304 + row;
  places.forEach((place, index) => {
    const at = key(Math.floor(place.x / cell), Math.floor(place.y / cell));
    if (grid.has(at)) grid.get(at).push(index);
    else grid.set(at, [index]);
  });
  points.forEach((point, label) => {
    const column = Math.floor(point.x / cell);
    const row = Math.floor(point.y / cell);
    const limit = reach[label] * (1 + ROUNDING);
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        for (const pick of grid.get(key(column + dx, row + dy)) ?? []) {
          const distance = Math.hypot(places[pick].x - point.x, places[pick].y - point.y);
          if (distance <= limit) {
            pairs.pick.push(pick);
            pairs.label.push(label);
            pairs.distance.push(distance);
          }
        }
      }
    }
  });
  return pairs;
}

// Chooses as many pairs as possible, one to one; among such matchings the one with picks of higher rank, then the one
// with the smallest total distance. Ranks are whole numbers from 1. Returns the label of each pick, -1 without one.
//
// Picks come in one by one, each along the cheapest alternating path (successive shortest paths). A path ends at a free
// label, or with a pick that gives up its label; costs are compared by rank first, by distance second.
export function match(pairs, rank, labels) {
  const near = rank.map(() => []);
  pairs.pick.forEach((pick, index) => near[pick].push(index));
  const pairOf = new Int32Array(rank.length).fill(-1);
  const owner = new Int32Array(labels).fill(-1);
  const order = [...rank.keys()].filter((pick) => near[pick].length).sort((a, b) => rank[b] - rank[a]);
  const less = (r, d, rank2, d2) => r < rank2 || (r === rank2 && d < d2 - NEAR_TIE);
  for (const start of order) {
    const reached = new Map([[start, { r: 0, d: 0, from: -1, pair: -1 }]]);
    let best = { r: 0, d: 0, pick: start, pair: -1 }; // `start` goes without a label
    const queue = [start];
    while (queue.length) {
      const pick = queue.shift();
      const here = reached.get(pick);
      here.queued = false;
      for (const pair of near[pick]) {
        const label = pairs.label[pair];
        const r = here.r - rank[pick];
        const d = here.d + pairs.distance[pair];
        const other = owner[label];
        if (other < 0) {
          if (less(r, d, best.r, best.d)) best = { r, d, pick, pair };
        } else if (other !== pick) {
          const left = { r: r + rank[other], d: d - pairs.distance[pairOf[other]], from: pick, pair };
          const known = reached.get(other);
          if (!known || less(left.r, left.d, known.r, known.d)) {
            left.queued = known?.queued ?? false;
            reached.set(other, left);
            if (!left.queued) queue.push(other);
            left.queued = true;
            if (less(left.r, left.d, best.r, best.d)) best = { r: left.r, d: left.d, pick: other, pair: -1 };
          }
        }
      }
    }
    // Along the path every pick takes the label of the next one.
    let { pick, pair } = best;
    while (pick >= 0) {
      const { from, pair: given } = reached.get(pick);
      pairOf[pick] = pair;
      if (pair >= 0) owner[pairs.label[pair]] = pick;
      pick = from;
      pair = given;
    }
  }
  return Array.from(pairOf, (pair) => (pair < 0 ? -1 : pairs.label[pair]));
}

// Matches the picks of one micrograph with its labels. Returns the outcome of each pick, and for each particle the
// score of the pick that found it, -Infinity if none did.
//
// The matching prefers picks with higher scores, so its part above any threshold is a largest matching of the picks
// above it: one matching serves them all (see cryokit/evaluate/matching.py).
export function judge(picks, labels, tolerance) {
  const particles = labels.filter((label) => label.view !== "ignore");
  const ignores = labels.filter((label) => label.view === "ignore");
  const counted = picks.filter((pick) => pick.view !== "ignore");
  const onIgnore = new Uint8Array(counted.length);
  for (const pick of candidates(
    counted,
    ignores,
    ignores.map((label) => label.diameter / 2),
  ).pick)
    onIgnore[pick] = 1;
  // Of picks with equal scores, one on an ignore label steps back: unmatched, it does no harm.
  const scores = [...new Set(counted.map(scoreOf))].sort((a, b) => a - b);
  const place = new Map(scores.map((score, index) => [score, index]));
  const rank = counted.map((pick, index) => 2 * place.get(scoreOf(pick)) + 2 - onIgnore[index]);
  const pairs = candidates(
    counted,
    particles,
    particles.map((label) => label.diameter * tolerance),
  );
  const labelOf = match(pairs, rank, particles.length);
  const foundWith = new Array(particles.length).fill(-Infinity);
  const outcome = new Map(picks.map((pick) => [pick, "ignored"]));
  counted.forEach((pick, index) => {
    if (labelOf[index] >= 0) foundWith[labelOf[index]] = scoreOf(pick);
    outcome.set(pick, labelOf[index] >= 0 ? "true" : onIgnore[index] ? "ignored" : "false");
  });
  return { outcome, foundWith, particles, ignores };
}

// Picks without scores are equal.
function scoreOf(pick) {
  return pick.score ?? 1;
}

export function rates(tp, fp, fn) {
  const ratio = (part, whole) => (whole ? part / whole : 0);
  return { precision: ratio(tp, tp + fp), recall: ratio(tp, tp + fn), f1: ratio(2 * tp, 2 * tp + fp + fn) };
}

// Returns the precision-recall curve, as cryokit/evaluate/metrics.py does: a row for each score, highest first.
export function curve(rows, particles) {
  const sorted = rows.filter((row) => row.outcome !== "ignored").sort((a, b) => b.score - a.score);
  const points = [];
  let tp = 0;
  sorted.forEach((row, index) => {
    tp += row.outcome === "true";
    if (index + 1 === sorted.length || sorted[index + 1].score !== row.score) {
      const fp = index + 1 - tp;
      points.push({ threshold: row.score, tp, fp, ...rates(tp, fp, particles - tp) });
    }
  });
  return points;
}

// --- files, byte for byte as the writers of cryokit.coordinates make them ------------------------------------------

// Writes a number as Python does: the shortest text that gives it back.
function repr(value) {
  if (value === null) return "";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) return exponent(value.toExponential());
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

// Gives an exponent two digits.
function exponent(text) {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

// Writes a number as C's %.9g does.
function general(value) {
  const [digits, power] = value.toExponential(8).split("e");
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (Number(power) < -4 || Number(power) >= 9) return exponent(`${trimmed(digits)}e${power}`);
  return trimmed(value.toPrecision(9));
}

export function toCsv(micrographs, joined) {
  // No spreadsheet is to find a formula in a name; the package's reader takes the apostrophe off again.
  const defused = (text) => (/^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${defused(text).replaceAll('"', '""')}"` : defused(text));
  const lines = [`${joined ? "micrograph," : ""}x,y,score,diameter,view`];
  for (const { name, picks } of micrographs) {
    for (const { x, y, score, diameter, view } of picks) {
      const values = [...[x, y, score, diameter].map(repr), quoted(view)];
      lines.push([...(joined ? [quoted(name)] : []), ...values].join(","));
    }
  }
  return lines.join("\n") + "\n";
}

export function toStar(micrographs, joined) {
  const columns = ["CoordinateX", "CoordinateY", "AutopickFigureOfMerit", "ClassNumber", "AnglePsi"];
  if (joined) columns.push("MicrographName");
  const header = columns.map((column, index) => `_rln${column} #${index + 1}`);
  const lines = ["# version 30001", "", "", `data_${joined ? "particles" : ""}`, "", "loop_", ...header];
  for (const { path, picks } of micrographs) {
    if (joined && picks.length && (/[\s"'#]/.test(path) || !path)) {
      throw new Error(`A STAR file cannot hold the path ${path} (no spaces, quotes or #); download CSV instead.`);
    }
    const shown = /^(data_|loop_|_)/.test(path) ? `./${path}` : path;
    for (const { x, y, score } of picks) {
      const values = [general(x), general(y), general(score ?? -999), "0", "0"];
      lines.push([...values, ...(joined ? [shown] : [])].join("\t"));
    }
  }
  return lines.join("\n") + "\n\n\n";
}

// --- pictures ------------------------------------------------------------------------------------------------------

// Reads a picture that came as compressed tiles into 8-bit pixels, and halves it again and again for views from afar.
async function decoded(layer) {
  if (!layer) return null;
  const { width, height } = layer;
  const pixels = new Uint8Array(width * height);
  const tiles = layer.tiles.map((tile) => {
    const blob = new Blob([typeof tile.data === "string" ? bytes(tile.data) : tile.data], { type: tile.type });
    return { ...tile, bitmap: createImageBitmap(blob, { colorSpaceConversion: "none" }) };
  });
  for (const tile of tiles) {
    const bitmap = await tile.bitmap;
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const colours = context.getImageData(0, 0, canvas.width, canvas.height).data;
    for (let row = 0; row < canvas.height; row++) {
      let to = (tile.y + row) * width + tile.x;
      for (let from = 4 * row * canvas.width, end = from + 4 * canvas.width; from < end; from += 4) {
        pixels[to++] = colours[from];
      }
    }
    bitmap.close();
  }
  const levels = [{ width, height, pixels }];
  while (Math.min(levels.at(-1).width, levels.at(-1).height) > 256) levels.push(halved(levels.at(-1)));
  return { ...layer, tiles: null, levels };
}

// Decodes base 64.
function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const values = new Uint8Array(letters.length);
  for (let index = 0; index < letters.length; index++) values[index] = letters.charCodeAt(index);
  return values;
}

function halved({ width, height, pixels }) {
  const half = { width: width >> 1, height: height >> 1 };
  half.pixels = new Uint8Array(half.width * half.height);
  for (let row = 0, to = 0; row < half.height; row++) {
    let from = 2 * row * width;
    for (let column = 0; column < half.width; column++, from += 2) {
      half.pixels[to++] = (pixels[from] + pixels[from + 1] + pixels[from + width] + pixels[from + width + 1] + 2) >> 2;
    }
  }
  return half;
}

// Returns which pixel of a level lies under each pixel of the screen along one axis, -1 outside.
function lookUp(count, ratio, middle, scale, size, origin, step, factor, length) {
  const index = new Int32Array(count);
  for (let pixel = 0; pixel < count; pixel++) {
    const place = middle + ((pixel + 0.5) / ratio - size / 2) / scale;
    const at = Math.floor(((place - origin) / step + 0.5) / factor);
    index[pixel] = at >= 0 && at < length ? at : -1;
  }
  return index;
}

// --- the explorer --------------------------------------------------------------------------------------------------

const HELP = [
  ["Click, or tap", "add a pick"],
  ["Alt-click, or hold a finger", "remove a pick"],
  ["Drag a pick", "move it (with a finger: tap it first)"],
  ["Drag elsewhere, or Shift-drag", "pan"],
  ["Wheel, pinch, + and −", "zoom (the wheel after a click into the picture, or with Ctrl)"],
  ["0 and 1", "fit the whole micrograph; one pixel of it to a pixel of the screen"],
  ["Arrow keys", "move the cursor; with Shift by a single pixel; with Ctrl the view"],
  [", and .", "go to the previous or next pick"],
  ["A or Enter", "add a pick at the cursor"],
  ["X or Delete", "remove the pick at the cursor"],
  ["M", "take the pick at the cursor along with it; again to put it down"],
  ["U or Ctrl-Z; Y or Ctrl-Y", "undo; redo"],
  ["[ and ]", "lower or raise the threshold; with Shift by ten steps"],
  ["P and N", "previous, next micrograph"],
  ["B, K, H, L", "band-pass, mask, score map, picks and labels on and off"],
  ["S", "save"],
  ["?", "this help"],
];
const DASHES = { solid: [], dashed: [7, 4], dashdot: [8, 3, 2, 3], dotted: [2, 3] };
const OTHERS = ["band", "mask", "scores"]; // pictures beside the grey values
const TOOLS = { edit: "Edit", remove: "Remove", look: "Look" };
const STAMPED = 120; // largest radius in pixels of the screen of circles that are stamped rather than drawn
const LINE = 1.8; // width of circles in pixels of the screen
const EDGE = 1; // and of the dark edge on either side
const POINTED = 8; // pixels of the screen from its centre within which a pick is meant by a mouse, whatever its diameter
const TOUCHED = 16; // and by a finger
const STIRRED = { mouse: 4, touch: 8 }; // pixels of the screen that a pointer has to move for a drag
const HELD = 500; // milliseconds after which a finger that rests on a pick removes it
const MOST_ZOOM = 64; // pixels of the screen to one of the micrograph
let instances = 0;

// Makes an element; text is never read as HTML.
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

export class Explorer {
  // `home` says what the explorer's home does: `pictures(index, kinds)` promises pictures of a micrograph by kind;
  // `changed(index, picks)`, `thresholdChanged(value)` and `save(file name)` are optional.
  constructor(root, contents, home) {
    this.root = root;
    this.contents = contents;
    this.home = home;
    this.id = `cryokit-explorer-${++instances}`;
    this.micrographs = contents.micrographs.map((micrograph) => ({
      ...micrograph,
      picks: rowsOf(micrograph.picks),
      labels: micrograph.labels && rowsOf(micrograph.labels),
      edited: false,
    }));
    this.scored = contents.scored;
    this.labelled = this.micrographs.some((micrograph) => micrograph.labels);
    this.index = -1;
    this.view = { x: 0, y: 0, scale: 1 };
    this.cursor = { x: 0, y: 0, shown: false };
    this.done = [];
    this.undone = [];
    this.carried = null;
    this.selected = null; // the pick that a finger has tapped
    this.tool = "edit";
    this.shown = { band: false, mask: false, scores: false, picks: true };
    this.stamps = new Map();
    this.pointers = new Map();
    this.changed = new Set();
    this.times = []; // of the last redraws, in milliseconds
    this.micrographs.forEach((micrograph) => this.judgeAll(micrograph));
    this.setUpScale();
    this.threshold = this.lowest;
    this.build();
    if (contents.threshold !== null) this.setThreshold(contents.threshold, false);
    this.total();
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.stage);
    this.resized();
    this.ready = this.show(0);
  }

  destroy() {
    this.observer.disconnect();
    this.root.replaceChildren();
  }

  get micrograph() {
    return this.micrographs[this.index];
  }

  // --- numbers ---

  setUpScale() {
    const scores = this.micrographs.flatMap((micrograph) => micrograph.picks.map(scoreOf));
    const low = scores.reduce((least, score) => Math.min(least, score), 0);
    const high = scores.reduce((most, score) => Math.max(most, score), 1);
    this.step = 10 ** Math.floor(Math.log10(high - low)) / 1000;
    this.lowest = rounded(Math.floor(low / this.step) * this.step);
    this.highest = rounded(Math.ceil(high / this.step) * this.step);
    this.top = high;
  }

  judgeAll(micrograph) {
    micrograph.judged = micrograph.labels && judge(micrograph.picks, micrograph.labels, this.contents.tolerance);
  }

  // Tells whether a pick is at or above the threshold.
  passes(pick) {
    return !this.scored || scoreOf(pick) >= this.threshold;
  }

  chosen(micrograph) {
    return micrograph.picks.filter((pick) => this.passes(pick));
  }

  counts(micrographs) {
    const counts = { true: 0, false: 0, ignored: 0 };
    let picks = 0;
    let particles = 0;
    for (const { picks: own, judged } of micrographs) {
      particles += judged?.particles.length ?? 0;
      for (const pick of own) {
        if (pick.view === "ignore" || !this.passes(pick)) continue;
        picks++;
        if (judged) counts[judged.outcome.get(pick)]++;
      }
    }
    const { true: tp, false: fp, ignored } = counts;
    return { picks, tp, fp, fn: particles - tp, ignored, ...rates(tp, fp, particles - tp) };
  }

  total() {
    const labelled = this.micrographs.filter((micrograph) => micrograph.judged);
    const particles = labelled.reduce((sum, { judged }) => sum + judged.particles.length, 0);
    const rows = labelled.flatMap(({ judged }) =>
      Array.from(judged.outcome, ([pick, outcome]) => ({ score: scoreOf(pick), outcome })),
    );
    this.curve = curve(rows, particles);
    this.curvePicture = null;
    this.schedule("numbers");
  }

  // --- the parts of the page ---

  build() {
    const button = (text, label, action, attributes = {}) =>
      make("button", { type: "button", title: label, "aria-label": label, onclick: action, ...attributes }, text);
    const several = this.micrographs.length > 1;
    this.choice = make(
      "select",
      { "aria-label": "Micrograph", onchange: () => this.show(Number(this.choice.value)) },
      ...this.micrographs.map(({ name }, index) => make("option", { value: index }, name)),
    );
    this.undoButton = button("Undo", "Undo (U)", () => this.undo());
    this.redoButton = button("Redo", "Redo (Y)", () => this.redo());
    this.toolButtons = Object.entries(TOOLS).map(([tool, text]) => {
      const words = {
        edit: "Edit: click adds, drag moves, Alt-click removes",
        remove: "Remove: click removes",
        look: "Look: drag pans, nothing changes",
      };
      return button(text, words[tool], () => this.setTool(tool), { "data-tool": tool });
    });
    this.helpButton = button("?", "Help (?)", () => this.toggleHelp(), {
      "aria-expanded": "false",
      "aria-controls": `${this.id}-help`,
    });
    const group = (label, ...children) =>
      make("div", { class: "ce-group", role: "group", "aria-label": label }, ...children);
    const bar = make(
      "div",
      { class: "ce-bar", role: "toolbar", "aria-label": "Explorer" },
      group(
        "Micrograph",
        several ? button("‹", "Previous micrograph (P)", () => this.browse(-1), { "data-do": "previous" }) : null,
        this.choice,
        several ? button("›", "Next micrograph (N)", () => this.browse(1), { "data-do": "next" }) : null,
      ),
      group("Tool", ...this.toolButtons),
      group("Changes", this.undoButton, this.redoButton),
      group(
        "Zoom",
        button("−", "Zoom out (−)", () => this.zoom(1 / 1.5)),
        button("+", "Zoom in (+)", () => this.zoom(1.5)),
        button("Fit", "Fit the whole micrograph (0)", () => this.fit()),
        button("1:1", "Single pixels (1)", () => this.zoomTo(1)),
      ),
      this.helpButton,
    );
    this.picture = make("canvas", { "aria-hidden": "true" });
    this.overlay = make("canvas", { "aria-hidden": "true" });
    this.wait = make("p", { class: "ce-wait" }, "Loading …");
    this.stage = make(
      "div",
      {
        class: "ce-stage",
        tabindex: "0",
        role: "application",
        "aria-label": "Micrograph and picks",
        "aria-describedby": `${this.id}-status`,
        // JupyterLab's own shortcuts of one letter do not apply in here.
        "data-lm-suppress-shortcuts": "true",
      },
      this.picture,
      this.overlay,
      this.wait,
    );
    this.status = make("p", { class: "ce-status", id: `${this.id}-status`, role: "status", "aria-live": "polite" });
    this.where = make("p", { class: "ce-where", "aria-hidden": "true" });
    this.legend = make("ul", { class: "ce-legend", "aria-label": "Legend" });
    this.help = make(
      "section",
      { class: "ce-help", id: `${this.id}-help`, hidden: true, "aria-label": "Help" },
      make("h3", {}, "Mouse, touch and keyboard"),
      make("dl", {}, ...HELP.flatMap(([keys, words]) => [make("dt", {}, keys), make("dd", {}, words)])),
      make("p", {}, "The keys work while the picture has the focus: click into it, or reach it with Tab."),
    );
    this.root.classList.add("cryokit-explorer");
    this.root.replaceChildren(
      bar,
      this.help,
      make(
        "div",
        { class: "ce-main" },
        make("div", { class: "ce-left" }, this.stage, this.legend, this.where, this.status),
        this.panel(),
      ),
    );
    this.listen();
    this.setTool("edit");
    this.updateButtons();
  }

  panel() {
    const check = (key, text, letter) => {
      const box = make("input", {
        type: "checkbox",
        "data-show": key,
        onchange: () => this.toggle(key, box.checked),
        checked: this.shown[key],
      });
      this.boxes[key] = box;
      return make("label", { class: "ce-check" }, box, ` ${text} (${letter})`);
    };
    this.boxes = {};
    const range = (label, value, action) => {
      const input = make("input", { type: "range", min: 0, max: 255, step: 1, value, oninput: action });
      return [input, make("label", { class: "ce-range" }, make("span", {}, label), input)];
    };
    const contrast = () => {
      this.limits = { low: Number(this.black.value), high: Number(this.white.value) };
      this.schedule("picture");
    };
    let black, white;
    [this.black, black] = range("Black", 0, contrast);
    [this.white, white] = range("White", 255, contrast);

    const attributes = { min: this.lowest, max: this.highest, step: this.step };
    this.slider = make("input", {
      type: "range",
      "aria-label": "Threshold",
      ...attributes,
      oninput: () => this.setThreshold(Number(this.slider.value)),
    });
    this.number = make("input", {
      type: "number",
      "aria-label": "Threshold, as a number",
      ...attributes,
      onchange: () => this.setThreshold(Number(this.number.value)),
    });
    this.slider.value = this.number.value = this.threshold;
    this.table = make("table", { class: "ce-counts" });
    this.plot = make("canvas", { class: "ce-curve", role: "img" });
    const views = new Set(this.micrographs.flatMap((micrograph) => micrograph.picks.map((pick) => pick.view)));
    const ways = [
      this.labelled && ["outcome", "true, false, missed"],
      this.scored && ["score", "score"],
      [...views].some((view) => view) && ["view", "view"],
      ["plain", "one colour"],
    ].filter(Boolean);
    this.colourBy = ways[0][0];
    this.views = [...views].sort();
    this.colourChoice = make(
      "select",
      {
        onchange: () => {
          this.colourBy = this.colourChoice.value;
          this.schedule("picks");
        },
      },
      ...ways.map(([value, text]) => make("option", { value }, text)),
    );
    return make(
      "div",
      { class: "ce-panel" },
      this.scored
        ? make(
            "fieldset",
            {},
            make("legend", {}, "Threshold"),
            make("div", { class: "ce-threshold" }, this.slider, this.number),
          )
        : null,
      make("fieldset", {}, make("legend", {}, "Counts"), this.table, this.labelled ? this.plot : null),
      make(
        "fieldset",
        {},
        make("legend", {}, "Picture"),
        black,
        white,
        make(
          "div",
          { class: "ce-checks" },
          check("band", "band-pass", "B"),
          check("mask", "mask", "K"),
          check("scores", "score map", "H"),
          check("picks", "picks", "L"),
        ),
        make("label", { class: "ce-range" }, make("span", {}, "Colour"), this.colourChoice),
      ),
      this.savePanel(),
    );
  }

  savePanel() {
    const words = make(
      "p",
      { class: "ce-note" },
      this.scored ? "Picks at or above the threshold, of all micrographs." : "Picks of all micrographs.",
    );
    if (this.home.save) {
      this.fileName = make("input", {
        type: "text",
        value: "picks.star",
        "aria-label": "File name",
        spellcheck: "false",
      });
      const act = () => this.home.save(this.fileName.value.trim());
      this.saveAction = act;
      const button = make(
        "button",
        { type: "button", onclick: act, title: "Suffix .star, .box or .csv; without one, a folder of STAR files (S)" },
        "Save",
      );
      return make(
        "fieldset",
        {},
        make("legend", {}, "Save"),
        make("div", { class: "ce-save" }, this.fileName, button),
        words,
      );
    }
    this.saveAction = () => this.download("csv");
    const button = (format) =>
      make(
        "button",
        { type: "button", "data-download": format, onclick: () => this.download(format) },
        format.toUpperCase(),
      );
    return make(
      "fieldset",
      {},
      make("legend", {}, "Download"),
      make("div", { class: "ce-save" }, button("csv"), button("star")),
      words,
    );
  }

  say(text) {
    this.status.textContent = text;
  }

  toggleHelp() {
    this.help.hidden = !this.help.hidden;
    this.helpButton.setAttribute("aria-expanded", String(!this.help.hidden));
    if (!this.help.hidden) this.help.scrollIntoView({ block: "nearest" });
  }

  setTool(tool) {
    this.tool = tool;
    for (const button of this.toolButtons) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.stage.dataset.tool = tool;
  }

  toggle(key, on) {
    if (this.boxes[key].disabled) return;
    this.shown[key] = on;
    this.boxes[key].checked = on;
    if (key === "band") this.setLimits();
    this.schedule(key === "picks" ? "picks" : "picture");
  }

  updateButtons() {
    this.undoButton.disabled = !this.done.length;
    this.redoButton.disabled = !this.undone.length;
  }

  // --- micrographs and view ---

  browse(by) {
    const count = this.micrographs.length;
    return this.show((this.index + by + count) % count);
  }

  async show(index) {
    if (index === this.index || !this.micrographs[index]) return;
    this.index = index;
    this.carried = this.selected = null;
    this.choice.value = String(index);
    this.layers = null;
    this.wait.hidden = false;
    this.wait.textContent = "Loading …";
    this.fit();
    const micrograph = this.micrograph;
    this.cursor = { x: (micrograph.width - 1) / 2, y: (micrograph.height - 1) / 2, shown: false };
    this.stage.setAttribute("aria-label", `Micrograph ${micrograph.name} and its picks`);
    this.schedule("picture");
    for (const key of OTHERS) this.boxes[key].disabled = true;
    try {
      // The grey values first: the others may still have to be computed.
      if (!(await this.load(index, ["grey"]))) return;
      this.wait.hidden = true;
      const [all, chosen] = [micrograph.picks.length, this.chosen(micrograph).length];
      const which = chosen < all ? `${chosen} of ${all} picks at or above the threshold` : `${all} picks`;
      this.say(`${micrograph.name}: ${which}`);
      this.schedule("numbers");
      if (!(await this.load(index, OTHERS))) return;
    } catch (error) {
      if (this.index === index) this.failed(error);
      return;
    }
    for (const key of OTHERS) {
      this.boxes[key].disabled = !this.layers[key];
      if (!this.layers[key]) this.shown[key] = this.boxes[key].checked = false;
    }
  }

  // Gets pictures of a micrograph and shows them, unless another micrograph has been chosen meanwhile.
  async load(index, kinds) {
    const pictures = await this.home.pictures(index, kinds);
    const layers = await Promise.all(kinds.map((kind) => decoded(pictures[kind])));
    if (this.index !== index) return false;
    this.layers ??= {};
    kinds.forEach((kind, order) => (this.layers[kind] = layers[order]));
    if (kinds.includes("grey")) this.setLimits();
    this.schedule("picture");
    return true;
  }

  failed(error) {
    const text = `A picture cannot be shown: ${error.message}`;
    if (this.layers) this.say(text);
    else this.wait.textContent = text;
  }

  setLimits() {
    const layer = this.base();
    if (!layer) return;
    this.limits = { low: layer.low, high: layer.high };
    this.black.value = layer.low;
    this.white.value = layer.high;
  }

  base() {
    return this.layers && (this.shown.band && this.layers.band ? this.layers.band : this.layers.grey);
  }

  fitScale() {
    const { width, height } = this.micrograph;
    return Math.min(this.size.width / width, this.size.height / height);
  }

  fit() {
    const { width, height } = this.micrograph;
    this.view = { x: (width - 1) / 2, y: (height - 1) / 2, scale: this.fitScale() };
    this.schedule("picture");
  }

  // Zooms so that the place under (x, y) on the screen stays where it is.
  zoom(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const place = this.toMicrograph(x, y);
    const scale = Math.min(MOST_ZOOM, Math.max(this.fitScale() / 2, this.view.scale * factor));
    this.view.scale = scale;
    this.view.x = place.x - (x - this.size.width / 2) / scale;
    this.view.y = place.y - (y - this.size.height / 2) / scale;
    this.keepInside();
  }

  zoomTo(scale) {
    if (this.cursor.shown) Object.assign(this.view, { x: this.cursor.x, y: this.cursor.y });
    this.view.scale = scale;
    this.keepInside();
  }

  pan(dx, dy) {
    this.view.x -= dx / this.view.scale;
    this.view.y -= dy / this.view.scale;
    this.keepInside();
  }

  keepInside() {
    const { width, height } = this.micrograph;
    this.view.x = Math.min(width, Math.max(-1, this.view.x));
    this.view.y = Math.min(height, Math.max(-1, this.view.y));
    this.schedule("picture");
  }

  toMicrograph(x, y) {
    return {
      x: this.view.x + (x - this.size.width / 2) / this.view.scale,
      y: this.view.y + (y - this.size.height / 2) / this.view.scale,
    };
  }

  toScreen(place) {
    return {
      x: (place.x - this.view.x) * this.view.scale + this.size.width / 2,
      y: (place.y - this.view.y) * this.view.scale + this.size.height / 2,
    };
  }

  resized() {
    const whole = this.size && this.micrograph && Math.abs(this.view.scale / this.fitScale() - 1) < 1e-6;
    const box = this.stage.getBoundingClientRect();
    this.size = { width: Math.max(1, Math.round(box.width)), height: Math.max(1, Math.round(box.height)) };
    this.ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.picture, this.overlay]) {
      canvas.width = Math.round(this.size.width * this.ratio);
      canvas.height = Math.round(this.size.height * this.ratio);
    }
    if (!this.micrograph) return;
    if (whole) this.fit();
    this.schedule("picture");
  }

  // --- threshold ---

  setThreshold(value, tell = true) {
    if (!Number.isFinite(value) || !this.scored) return;
    this.threshold = Math.min(this.highest, Math.max(this.lowest, value));
    this.slider.value = this.number.value = this.threshold;
    if (tell) this.home.thresholdChanged?.(this.threshold);
    this.schedule("numbers");
  }

  // --- editing ---

  // Returns the shown pick nearest to a place, if it is near enough to be meant.
  nearest(place, within = POINTED) {
    let best = null;
    let least = Infinity;
    for (const pick of this.micrograph.picks) {
      const distance = Math.hypot(pick.x - place.x, pick.y - place.y);
      const reach = Math.max(within / this.view.scale, this.diameterOf(pick) / 3);
      if (distance < least && distance <= reach && this.passes(pick)) {
        best = pick;
        least = distance;
      }
    }
    return best;
  }

  diameterOf(pick) {
    return pick.diameter ?? this.contents.diameter;
  }

  inside({ x, y }) {
    return x >= -0.5 && y >= -0.5 && x <= this.micrograph.width - 0.5 && y <= this.micrograph.height - 0.5;
  }

  add(place) {
    if (!this.inside(place)) return this.say("Outside the micrograph: nothing was added.");
    const score = this.scored ? this.top : null;
    const pick = { x: rounded(place.x), y: rounded(place.y), score, diameter: this.contents.newDiameter, view: "" };
    this.apply({ index: this.index, at: this.micrograph.picks.length, before: null, after: pick });
    return this.say(`Added a pick at ${words(pick)}.`);
  }

  remove(place, within) {
    const pick = this.nearest(place, within);
    if (!pick) {
      this.say("No pick here.");
      return false;
    }
    this.apply({ index: this.index, at: this.micrograph.picks.indexOf(pick), before: pick, after: null });
    this.say(`Removed the pick at ${words(pick)}.`);
    return true;
  }

  move(pick, from, to) {
    Object.assign(pick, from);
    this.schedule("picks");
    if (from.x === to.x && from.y === to.y) return this.say("The pick stays where it was.");
    if (!this.inside(to)) return this.say("Outside the micrograph: the pick stays where it was.");
    const after = { ...pick, x: rounded(to.x), y: rounded(to.y) };
    const selected = this.selected === pick;
    this.apply({ index: this.index, at: this.micrograph.picks.indexOf(pick), before: pick, after });
    if (selected) this.selected = after;
    return this.say(`Moved a pick to ${words(after)}.`);
  }

  apply(change) {
    this.done.push(change);
    this.undone = [];
    this.change(change.index, change.at, change.before, change.after);
  }

  change(index, at, before, after) {
    this.micrographs[index].picks.splice(at, before ? 1 : 0, ...(after ? [after] : []));
    this.micrographs[index].edited = true;
    this.selected = null;
    this.unsaved = true;
    this.refresh(index);
    this.home.changed?.(index, columnsOf(this.micrographs[index].picks));
  }

  refresh(index) {
    this.judgeAll(this.micrographs[index]);
    this.updateButtons();
    this.total();
  }

  async undo() {
    const change = this.done.pop();
    if (!change) return this.say("Nothing to undo.");
    this.undone.push(change);
    if (change.index !== this.index) this.show(change.index);
    this.change(change.index, change.at, change.after, change.before);
    return this.say("Undone.");
  }

  async redo() {
    const change = this.undone.pop();
    if (!change) return this.say("Nothing to redo.");
    this.done.push(change);
    if (change.index !== this.index) this.show(change.index);
    this.change(change.index, change.at, change.before, change.after);
    return this.say("Done again.");
  }

  // --- files ---

  file(format) {
    const micrographs = this.micrographs.map((micrograph) => ({
      name: micrograph.name,
      path: micrograph.path,
      picks: this.chosen(micrograph),
    }));
    const own = micrographs.length === 1 ? this.micrographs[0].files[format] : null;
    const text = (format === "csv" ? toCsv : toStar)(micrographs, own === null);
    return {
      name: own ?? `picks.${format}`,
      text,
      count: micrographs.reduce((sum, { picks }) => sum + picks.length, 0),
    };
  }

  download(format) {
    let file;
    try {
      file = this.file(format);
    } catch (error) {
      this.say(error.message);
      return;
    }
    const address = URL.createObjectURL(new Blob([file.text], { type: "text/plain" }));
    make("a", { href: address, download: file.name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
    this.unsaved = false;
    this.say(`${file.name}: ${file.count} picks`);
  }

  // --- mouse, touch and keyboard ---

  listen() {
    const place = (event) => {
      const box = this.stage.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    const stage = this.stage;
    stage.addEventListener("pointerdown", (event) => {
      if (event.button === 2 || !this.layers) return;
      stage.focus({ preventScroll: true });
      this.cursor.shown = false;
      stage.setPointerCapture(event.pointerId);
      const at = place(event);
      this.pointers.set(event.pointerId, at);
      if (this.pointers.size > 1) {
        this.dropped();
        return;
      }
      const touch = event.pointerType === "touch";
      const pans = this.tool === "look" || event.shiftKey || event.button === 1;
      const under = this.nearest(this.toMicrograph(at.x, at.y), touch ? TOUCHED : POINTED);
      const fixed = pans || event.altKey || this.tool === "remove";
      // A finger pans, also from a pick, as there is one nearly everywhere; only the one it has tapped before is moved.
      const pick = fixed || (touch && under !== this.selected) ? null : under;
      this.press = { at, last: at, pick, from: pick && { x: pick.x, y: pick.y }, moved: false, pans, touch };
      if (touch && !pans) this.press.timer = setTimeout(() => this.held(), HELD);
      event.preventDefault();
    });
    stage.addEventListener("contextmenu", (event) => {
      if (this.press?.touch || this.pointers.size) event.preventDefault();
    });
    stage.addEventListener("pointermove", (event) => {
      const at = place(event);
      this.readOut(at);
      if (!this.pointers.has(event.pointerId)) return;
      if (this.pointers.size === 2) this.pinch(event.pointerId, at);
      this.pointers.set(event.pointerId, at);
      const press = this.press;
      if (!press) return;
      const stirred = STIRRED[press.touch ? "touch" : "mouse"];
      if (Math.hypot(at.x - press.at.x, at.y - press.at.y) > stirred) press.moved = true;
      if (!press.moved) return;
      clearTimeout(press.timer);
      if (press.pick) {
        Object.assign(press.pick, this.dragged(press, at));
        this.schedule("picks");
      } else this.pan(at.x - press.last.x, at.y - press.last.y);
      press.last = at;
    });
    const end = (event) => {
      const at = place(event);
      this.pointers.delete(event.pointerId);
      const press = this.press;
      this.press = null;
      if (this.pointers.size === 1) {
        // The finger that is left after a pinch goes on panning.
        const [last] = this.pointers.values();
        this.press = { at: last, last, pick: null, moved: true, pans: true, touch: true };
      }
      if (!press) return;
      clearTimeout(press.timer);
      if (event.type === "pointercancel") {
        if (press.pick) Object.assign(press.pick, press.from);
      } else if (press.moved) {
        if (press.pick) this.move(press.pick, press.from, this.dragged(press, at));
      } else if (!press.pans) this.clicked(at, event.altKey || this.tool === "remove", press.touch);
      this.schedule("picks");
    };
    stage.addEventListener("pointerup", end);
    stage.addEventListener("pointercancel", end);
    stage.addEventListener("pointerleave", () => (this.where.textContent = ""));
    stage.addEventListener(
      "wheel",
      (event) => {
        if (!stage.matches(":focus") && !event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const at = place(event);
        this.zoom(2 ** (-event.deltaY / (event.deltaMode ? 10 : 300)), at.x, at.y);
      },
      { passive: false },
    );
    stage.addEventListener("keydown", (event) => {
      if (this.layers && this.key(event)) {
        event.preventDefault();
        event.stopPropagation();
      }
    });
    stage.addEventListener("blur", () => {
      this.putDown();
      this.cursor.shown = false;
      this.schedule("picks");
    });
  }

  // A finger has rested in one place.
  held() {
    const { at } = this.press;
    this.dropped();
    if (this.remove(this.toMicrograph(at.x, at.y), TOUCHED)) navigator.vibrate?.(30);
  }

  // Forgets what one finger began when a second one comes.
  dropped() {
    clearTimeout(this.press?.timer);
    if (this.press?.pick) Object.assign(this.press.pick, this.press.from);
    this.press = null;
  }

  dragged(press, at) {
    return {
      x: press.from.x + (at.x - press.at.x) / this.view.scale,
      y: press.from.y + (at.y - press.at.y) / this.view.scale,
    };
  }

  clicked(at, removes, touch) {
    const place = this.toMicrograph(at.x, at.y);
    const within = touch ? TOUCHED : POINTED;
    const pick = this.nearest(place, within);
    if (removes) this.remove(place, within);
    else if (pick) this.say(`Pick at ${words(pick)}${this.details(pick)}.`);
    else this.add(place);
    // To be moved next, if it is not where it was meant to be.
    if (touch && !removes) this.selected = pick ?? this.nearest(place, within);
  }

  details(pick) {
    return (
      (pick.score === null ? "" : `, score ${Number(pick.score.toPrecision(4))}`) + (pick.view ? `, ${pick.view}` : "")
    );
  }

  pinch(id, at) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, value]) => value);
    const before = this.pointers.get(id);
    const spread = (place) => Math.max(1, Math.hypot(place.x - other.x, place.y - other.y));
    this.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.zoom(spread(at) / spread(before), (at.x + other.x) / 2, (at.y + other.y) / 2);
  }

  readOut(at) {
    const place = this.toMicrograph(at.x, at.y);
    const pick = this.layers && this.nearest(place);
    const text = `x ${place.x.toFixed(1)}, y ${place.y.toFixed(1)}`;
    this.where.textContent = this.inside(place) ? text + (pick ? `: pick${this.details(pick)}` : "") : "";
  }

  // Does what a key stands for, and tells whether it stands for anything.
  key(event) {
    const command = event.ctrlKey || event.metaKey;
    if (event.altKey) return false;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (arrows[event.key]) {
      const [dx, dy] = arrows[event.key];
      if (command) this.pan(-60 * dx, -60 * dy);
      else this.moveCursor(dx, dy, event.shiftKey ? 1 : Math.max(1, 12 / this.view.scale));
      return true;
    }
    if (command) {
      const actions = { z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo() };
      const action = actions[event.key.toLowerCase()];
      action?.();
      return Boolean(action);
    }
    const threshold = (by) => this.setThreshold(rounded(this.threshold + by * 10 * this.step));
    const actions = {
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      0: () => this.fit(),
      1: () => this.zoomTo(1),
      ",": () => this.walk(-1),
      ".": () => this.walk(1),
      a: () => this.atCursor(() => this.add(this.cursor)),
      Enter: () => this.atCursor(() => this.add(this.cursor)),
      x: () => this.atCursor(() => this.remove(this.cursor)),
      Delete: () => this.atCursor(() => this.remove(this.cursor)),
      m: () => this.atCursor(() => (this.carried ? this.putDown() : this.pickUp())),
      u: () => this.undo(),
      y: () => this.redo(),
      "[": () => threshold(-1),
      "]": () => threshold(1),
      "{": () => threshold(-10),
      "}": () => threshold(10),
      p: () => this.browse(-1),
      n: () => this.browse(1),
      b: () => this.toggle("band", !this.shown.band),
      k: () => this.toggle("mask", !this.shown.mask),
      h: () => this.toggle("scores", !this.shown.scores),
      l: () => this.toggle("picks", !this.shown.picks),
      s: () => this.saveAction(),
      "?": () => this.toggleHelp(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    action?.();
    return Boolean(action);
  }

  // The first key shows the cursor; only then something can be done where it is.
  atCursor(action) {
    if (this.cursor.shown) action();
    else this.showCursor();
  }

  showCursor() {
    const at = this.toScreen(this.cursor);
    const seen = at.x >= 0 && at.y >= 0 && at.x <= this.size.width && at.y <= this.size.height;
    if (!seen) Object.assign(this.cursor, { x: Math.round(this.view.x), y: Math.round(this.view.y) });
    this.cursor.shown = true;
    this.say(`Cursor at ${words(this.cursor)}.`);
    this.schedule("picks");
  }

  moveCursor(dx, dy, step) {
    if (!this.cursor.shown) {
      this.showCursor();
      return;
    }
    const { width, height } = this.micrograph;
    this.cursor.x = Math.min(width - 1, Math.max(0, Math.round(this.cursor.x + dx * step)));
    this.cursor.y = Math.min(height - 1, Math.max(0, Math.round(this.cursor.y + dy * step)));
    if (this.carried) Object.assign(this.carried.pick, { x: this.cursor.x, y: this.cursor.y });
    this.follow();
    const pick = this.nearest(this.cursor);
    this.say(`Cursor at ${words(this.cursor)}${pick ? `: pick${this.details(pick)}` : ""}.`);
  }

  // Brings the cursor back into the view.
  follow() {
    const at = this.toScreen(this.cursor);
    const margin = Math.min(40, this.size.width / 4, this.size.height / 4);
    const beyond = (value, size) => Math.min(0, value - margin) + Math.max(0, value - size + margin);
    this.pan(-beyond(at.x, this.size.width), -beyond(at.y, this.size.height));
  }

  walk(by) {
    this.putDown();
    const picks = this.chosen(this.micrograph);
    if (!picks.length) {
      this.say("No picks.");
      return;
    }
    const here = picks.findIndex((pick) => pick.x === this.cursor.x && pick.y === this.cursor.y);
    const next = here < 0 ? (by > 0 ? 0 : picks.length - 1) : (here + by + picks.length) % picks.length;
    Object.assign(this.cursor, { x: picks[next].x, y: picks[next].y, shown: true });
    this.follow();
    this.say(`Pick ${next + 1} of ${picks.length} at ${words(picks[next])}${this.details(picks[next])}.`);
  }

  pickUp() {
    const pick = this.nearest(this.cursor);
    if (!pick) {
      this.say("No pick here.");
      return;
    }
    this.carried = { pick, from: { x: pick.x, y: pick.y } };
    Object.assign(this.cursor, this.carried.from);
    this.schedule("picks");
    this.say("Carrying a pick: move it with the arrow keys, M puts it down.");
  }

  putDown() {
    if (!this.carried) return;
    const { pick, from } = this.carried;
    this.carried = null;
    this.move(pick, from, { x: pick.x, y: pick.y });
  }

  // --- drawing ---

  // Draws once before the next frame, however many changes there are: the picks, and the picture or the numbers too.
  schedule(part) {
    this.changed.add(part);
    if (this.frame || this.index < 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const begin = performance.now();
    if (this.changed.has("picture")) this.drawPicture();
    this.drawPicks();
    if (this.changed.has("numbers")) this.drawNumbers();
    this.changed.clear();
    this.times.push(performance.now() - begin);
    if (this.times.length > 200) this.times.shift();
  }

  drawPicture() {
    const context = (this.pictureContext ??= this.picture.getContext("2d", { alpha: false, willReadFrequently: true }));
    const { width, height } = this.picture;
    if (this.image?.width !== width || this.image?.height !== height) {
      this.image = context.createImageData(width, height);
      this.screen = new Uint32Array(this.image.data.buffer);
      this.plain = new Uint32Array(width * height); // the picture without picks
    }
    const out = this.plain;
    out.fill(0xff303030);
    const base = this.base();
    if (!base) return;
    const { low, high } = this.limits;
    const shades = new Uint32Array(256);
    for (let value = 0; value < 256; value++) {
      const grey = Math.round(Math.min(1, Math.max(0, (value - low) / Math.max(1, high - low))) * 255);
      shades[value] = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
    }
    this.through(base, (pixels, from, to) => (out[to] = shades[pixels[from]]));
    if (this.shown.scores && this.layers.scores) {
      const ramp = this.contents.ramp.map(packed);
      this.through(this.layers.scores, (pixels, from, to) => {
        const score = pixels[from];
        out[to] = blended(out[to], ramp[(score * (ramp.length - 1) + 127) >> 8], (score * 180) >> 8);
      });
    }
    if (this.shown.mask && this.layers.mask) {
      const colour = packed(this.contents.maskColour);
      this.through(this.layers.mask, (pixels, from, to, column, row) => {
        // Hatched, so that it is not known by its colour alone.
        if (pixels[from] > 127) out[to] = blended(out[to], colour, (column + row) % 10 < 3 ? 190 : 70);
      });
    }
  }

  // Calls `paint` for each pixel of the screen that a layer covers.
  through(layer, paint) {
    const { width, height } = this.picture;
    const { x, y, scale } = this.view;
    const apart = 1 / (scale * this.ratio * layer.stepX); // pixels of the layer to one of the screen
    const depth = Math.max(0, Math.min(layer.levels.length - 1, Math.floor(Math.log2(apart) + 0.25)));
    const level = layer.levels[depth];
    const columns = lookUp(
      width,
      this.ratio,
      x,
      scale,
      this.size.width,
      layer.x0,
      layer.stepX,
      2 ** depth,
      level.width,
    );
    const rows = lookUp(
      height,
      this.ratio,
      y,
      scale,
      this.size.height,
      layer.y0,
      layer.stepY,
      2 ** depth,
      level.height,
    );
    const first = columns.findIndex((column) => column >= 0);
    const end = columns.findLastIndex((column) => column >= 0) + 1;
    if (first < 0) return;
    for (let row = 0; row < height; row++) {
      if (rows[row] < 0) continue;
      const start = rows[row] * level.width;
      for (let column = first; column < end; column++) {
        paint(level.pixels, start + columns[column], row * width + column, column, row);
      }
    }
  }

  drawPicks() {
    if (!this.image) return;
    const context = (this.overlayContext ??= this.overlay.getContext("2d"));
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    context.clearRect(0, 0, this.size.width, this.size.height);
    this.screen.set(this.plain);
    const groups = this.groups();
    this.updateLegend(groups);
    if (this.shown.picks) for (const group of groups) this.circles(context, group);
    this.pictureContext.putImageData(this.image, 0, 0);
    const marked = (this.press?.moved && this.press.pick) || this.carried?.pick || this.selected;
    if (marked && this.passes(marked)) this.drawn(context, { colour: "#FFFFFF", line: "solid" }, [marked], 4);
    if (this.cursor.shown) this.cross(context);
  }

  // Returns what to draw: kinds of circles with their style, in the order of drawing.
  groups() {
    const { styles, colours, ramp } = this.contents;
    const { judged } = this.micrograph;
    if (this.colourBy === "outcome" && judged) {
      const missed = judged.particles.filter(
        (_, index) => !(judged.foundWith[index] >= (this.scored ? this.threshold : 1)),
      );
      const rows = { ignore: judged.ignores, missed, ignored: [], false: [], true: [] };
      for (const [pick, outcome] of judged.outcome) if (this.passes(pick)) rows[outcome].push(pick);
      return Object.entries(rows).map(([kind, members]) => ({
        style: styles[kind],
        text: styles[kind].words,
        rows: members,
      }));
    }
    const picks = this.chosen(this.micrograph);
    if (this.colourBy === "score") {
      const bins = ramp.map((colour) => ({ style: { colour, line: "solid" }, rows: [] }));
      const width = this.highest - this.lowest;
      for (const pick of picks) {
        const share = (scoreOf(pick) - this.lowest) / width;
        bins[Math.min(ramp.length - 1, Math.floor(share * ramp.length))].rows.push(pick);
      }
      bins.at(-1).text = `score ${this.lowest} to ${this.highest}`;
      return bins;
    }
    if (this.colourBy === "view") {
      const lines = Object.keys(DASHES);
      return this.views.map((view, index) => ({
        style: { colour: colours[index % colours.length], line: lines[index % lines.length] },
        text: view || "unknown view",
        rows: picks.filter((pick) => pick.view === view),
      }));
    }
    return [{ style: styles.pick, text: styles.pick.words, rows: picks }];
  }

  // Draws circles: small ones, which may be many, are copied into the pixels of the picture, large ones are drawn.
  circles(context, { style, rows }) {
    const { x, y, scale } = this.view;
    const { width, height } = this.picture;
    const zoom = scale * this.ratio;
    const [left, top] = [width / 2 - x * zoom, height / 2 - y * zoom];
    const large = [];
    for (const row of rows) {
      const radius = Math.max(1.5, (this.diameterOf(row) / 2) * zoom);
      const column = row.x * zoom + left;
      const line = row.y * zoom + top;
      if (column < -radius || line < -radius || column > width + radius || line > height + radius) continue;
      if (radius > STAMPED) large.push(row);
      else this.stamp(this.stampOf(style, radius), Math.floor(column), Math.floor(line));
    }
    if (large.length) this.drawn(context, style, large);
  }

  // Returns the pixels of a circle, relative to that of its centre, with their colours and how far they are covered.
  stampOf(style, radius) {
    const size = Math.round(2 * radius) / 2;
    const key = `${style.colour} ${style.line} ${size} ${this.ratio}`;
    let stamp = this.stamps.get(key);
    if (stamp) return stamp;
    const half = Math.ceil(size + 3 * this.ratio);
    const side = 2 * half + 1;
    const context = make("canvas", { width: side, height: side }).getContext("2d", { willReadFrequently: true });
    // Small circles have thinner edges and shorter dashes, so that they still look like circles.
    const edge = Math.min(1, size / (16 * this.ratio)) * EDGE * this.ratio;
    const shrunk = Math.min(1, (size * 2 * Math.PI) / (60 * this.ratio)) * this.ratio;
    context.arc(half + 0.5, half + 0.5, size, 0, 2 * Math.PI);
    stroke(context, style, LINE * this.ratio, edge, shrunk);
    const drawn = new Uint32Array(context.getImageData(0, 0, side, side).data.buffer);
    const covered = [...drawn.keys()].filter((pixel) => drawn[pixel] >>> 24 > 8);
    stamp = {
      half,
      side,
      pixels: Uint32Array.from(covered),
      colours: Uint32Array.from(covered, (pixel) => drawn[pixel]),
    };
    if (this.stamps.size > 200) this.stamps.clear();
    this.stamps.set(key, stamp);
    return stamp;
  }

  stamp(stamp, column, row) {
    const { width, height } = this.picture;
    const { half, side, pixels, colours } = stamp;
    const out = this.screen;
    const [left, top] = [column - half, row - half];
    if (left >= 0 && top >= 0 && left + side <= width && top + side <= height) {
      if (stamp.width !== width) {
        stamp.width = width;
        stamp.offsets = pixels.map((pixel) => Math.floor(pixel / side) * width + (pixel % side));
      }
      const { offsets } = stamp;
      const corner = top * width + left;
      for (let index = 0; index < offsets.length; index++) {
        const at = corner + offsets[index];
        out[at] = blended(out[at], colours[index], colours[index] >>> 24);
      }
      return;
    }
    for (let index = 0; index < pixels.length; index++) {
      const x = left + (pixels[index] % side);
      const y = top + Math.floor(pixels[index] / side);
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      out[y * width + x] = blended(out[y * width + x], colours[index], colours[index] >>> 24);
    }
  }

  drawn(context, style, rows, width = LINE) {
    context.beginPath();
    for (const row of rows) {
      const at = this.toScreen(row);
      const radius = Math.max(1.5, (this.diameterOf(row) / 2) * this.view.scale);
      context.moveTo(at.x + radius, at.y);
      context.arc(at.x, at.y, radius, 0, 2 * Math.PI);
    }
    stroke(context, style, width);
  }

  cross(context) {
    const { x, y } = this.toScreen(this.cursor);
    const arms = () => {
      context.beginPath();
      for (const [dx, dy] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ]) {
        context.moveTo(x + 4 * dx, y + 4 * dy);
        context.lineTo(x + 16 * dx, y + 16 * dy);
      }
      context.stroke();
    };
    context.strokeStyle = "#000000";
    context.lineWidth = 4;
    arms();
    context.strokeStyle = "#FFFFFF";
    context.lineWidth = 2;
    arms();
  }

  updateLegend(groups) {
    const entries = groups.filter((group) => group.text);
    const counts = entries.map((group) => (this.colourBy === "score" ? "" : ` (${group.rows.length})`));
    const key = entries.map((group, index) => group.text + counts[index]).join("|");
    if (key === this.legendKey) return;
    this.legendKey = key;
    this.legend.replaceChildren(
      ...entries.map((group, index) => {
        const sample = make("canvas", { width: 34, height: 14, "aria-hidden": "true" });
        const context = sample.getContext("2d");
        if (this.colourBy === "score") {
          this.contents.ramp.forEach((colour, step, all) => {
            context.fillStyle = colour;
            context.fillRect((34 * step) / all.length, 0, 34 / all.length + 1, 14);
          });
        } else {
          context.fillStyle = "#404040";
          context.fillRect(0, 0, 34, 14);
          context.strokeStyle = group.style.colour;
          context.lineWidth = 2;
          context.setLineDash(DASHES[group.style.line]);
          context.moveTo(3, 7);
          context.lineTo(31, 7);
          context.stroke();
        }
        return make("li", {}, sample, ` ${group.text}${counts[index]}`);
      }),
    );
  }

  drawNumbers() {
    const several = this.micrographs.length > 1;
    const all = this.counts(this.micrographs);
    const columns = several
      ? [
          ["this one", this.counts([this.micrograph])],
          ["all", all],
        ]
      : [["", all]];
    const fixed = (value) => value.toFixed(3);
    const rows = [["picks", "picks", String]];
    if (this.labelled) {
      rows.push(
        ["true", "tp", String],
        ["false", "fp", String],
        ["missed", "fn", String],
        ["not counted", "ignored", String],
      );
      rows.push(["precision", "precision", fixed], ["recall", "recall", fixed], ["F1", "f1", fixed]);
    }
    if (!this.cells) {
      this.cells = rows.map(([text, key]) =>
        columns.map((_, column) => make("td", { "data-count": column === columns.length - 1 ? key : `${key}-here` })),
      );
      const head = several
        ? make("tr", {}, make("td"), ...columns.map(([text]) => make("th", { scope: "col" }, text)))
        : null;
      this.table.replaceChildren(
        ...(head ? [head] : []),
        ...rows.map(([text], index) => make("tr", {}, make("th", { scope: "row" }, text), ...this.cells[index])),
      );
    }
    rows.forEach(([, key, format], row) => {
      columns.forEach(([, counts], column) => {
        // A micrograph without labels has only picks.
        const known = key === "picks" || (column === columns.length - 1 ? true : Boolean(this.micrograph.labels));
        const text = known ? format(counts[key]) : "–";
        if (this.cells[row][column].textContent !== text) this.cells[row][column].textContent = text;
      });
    });
    if (this.labelled) this.drawCurve(all);
  }

  drawCurve({ precision, recall, f1 }) {
    const width = 240;
    const height = 190;
    const ratio = this.ratio;
    const box = { left: 34, top: 8, width: width - 44, height: height - 44 };
    const x = (value) => box.left + value * box.width;
    const y = (value) => box.top + (1 - value) * box.height;
    if (!this.curvePicture || this.curvePicture.ratio !== ratio) {
      const drawn = make("canvas", { width: width * ratio, height: height * ratio });
      const context = drawn.getContext("2d");
      context.scale(ratio, ratio);
      context.fillStyle = "#FFFFFF";
      context.fillRect(0, 0, width, height);
      context.strokeStyle = "#BBBBBB";
      context.fillStyle = "#333333";
      context.font = "11px system-ui, sans-serif";
      context.textAlign = "center";
      for (const value of [0, 0.5, 1]) {
        context.strokeRect(x(value), y(0), 0.01, 3);
        context.fillText(String(value), x(value), y(0) + 14);
        context.textAlign = "right";
        context.fillText(String(value), x(0) - 5, y(value) + 4);
        context.textAlign = "center";
      }
      context.strokeRect(box.left, box.top, box.width, box.height);
      context.fillText("recall", x(0.5), y(0) + 29);
      context.save();
      context.translate(10, y(0.5));
      context.rotate(-Math.PI / 2);
      context.fillText("precision", 0, 0);
      context.restore();
      context.beginPath();
      this.curve.forEach((point, index) => {
        if (index === 0) context.moveTo(x(0), y(point.precision));
        else context.lineTo(x(this.curve[index - 1].recall), y(point.precision));
        context.lineTo(x(point.recall), y(point.precision));
      });
      context.strokeStyle = this.contents.colours[0];
      context.lineWidth = 2;
      context.stroke();
      this.curvePicture = { drawn, ratio };
      this.plot.width = width * ratio;
      this.plot.height = height * ratio;
    }
    const context = this.plot.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.curvePicture.drawn, 0, 0);
    context.scale(ratio, ratio);
    context.beginPath();
    context.arc(x(recall), y(precision), 6, 0, 2 * Math.PI);
    context.fillStyle = this.contents.colours[1];
    context.fill();
    context.strokeStyle = "#FFFFFF";
    context.lineWidth = 2;
    context.stroke();
    const text = `precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}, F1 ${f1.toFixed(3)}`;
    this.plot.setAttribute("aria-label", `Precision-recall curve; at this threshold ${text}`);
  }
}

function rounded(value) {
  return Number(value.toFixed(6)); // so that no digits appear that nobody meant
}

function words({ x, y }) {
  return `x ${Number(x.toFixed(1))}, y ${Number(y.toFixed(1))}`;
}

function rowsOf(columns) {
  return columns.x.map((x, index) => ({
    x,
    y: columns.y[index],
    score: columns.score[index],
    diameter: columns.diameter[index],
    view: columns.view[index],
  }));
}

function columnsOf(rows) {
  return Object.fromEntries(["x", "y", "score", "diameter", "view"].map((key) => [key, rows.map((row) => row[key])]));
}

// Draws the path of a context with a dark edge: by its hue alone, not everybody could tell a line from a grey picture.
function stroke(context, style, width, edge = EDGE, dashes = 1) {
  context.setLineDash(DASHES[style.line].map((length) => length * dashes));
  context.strokeStyle = "rgb(0 0 0 / 70%)";
  context.lineWidth = width + 2 * edge;
  context.stroke();
  context.strokeStyle = style.colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

// Returns a colour such as #D55E00 as a pixel of the screen.
function packed(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

// Mixes a pixel of the screen with a colour (both 0xAABBGGRR), with a weight of up to 255.
function blended(pixel, colour, weight) {
  const share = weight + (weight >> 7); // of 256
  const redBlue = (((pixel & 0xff00ff) * (256 - share) + (colour & 0xff00ff) * share) >>> 8) & 0xff00ff;
  const green = (((pixel & 0x00ff00) * (256 - share) + (colour & 0x00ff00) * share) >>> 8) & 0x00ff00;
  return (0xff000000 | redBlue | green) >>> 0;
}

// --- homes ---------------------------------------------------------------------------------------------------------

// The page: contents and pictures are in elements of it.
export function mount(root) {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const pictures = async (index, kinds) => Object.fromEntries(kinds.map((kind) => [kind, read(`${kind}-${index}`)]));
  const explorer = new Explorer(root, read("contents"), { pictures });
  explorer.stage.focus({ preventScroll: true });
  window.addEventListener("beforeunload", (event) => {
    if (explorer.unsaved) event.preventDefault();
  });
  return explorer;
}

// JupyterLab: contents and pictures come from the kernel when they are asked for.
function render({ model, el }) {
  let explorer = null;
  const waiting = new Map();
  const home = {
    pictures: (index, kinds) =>
      new Promise((resolve, reject) => {
        waiting.set(`${index} ${kinds}`, { resolve, reject });
        model.send({ kind: "pictures", index, kinds });
      }),
    changed: (index, picks) => model.send({ kind: "picks", index, picks }),
    thresholdChanged: (value) => {
      model.set("threshold", value);
      model.save_changes();
    },
    save: (path) => model.send({ kind: "save", path }),
  };
  const received = (message, buffers) => {
    if (message.kind === "contents" && !explorer) {
      explorer = new Explorer(el, message.contents, home);
    } else if (message.kind === "pictures") {
      const key = `${message.index} ${message.kinds}`;
      const one = waiting.get(key);
      waiting.delete(key);
      if (message.error) one?.reject(new Error(message.error));
      else {
        for (const layer of Object.values(message.pictures)) {
          for (const tile of layer?.tiles ?? []) tile.data = buffers[tile.data];
        }
        one?.resolve(message.pictures);
      }
    } else if (message.kind === "said") explorer?.say(message.text);
  };
  const thresholdSet = () => {
    const value = model.get("threshold");
    if (explorer && value !== null) explorer.setThreshold(value, false);
  };
  model.on("msg:custom", received);
  model.on("change:threshold", thresholdSet);
  model.send({ kind: "contents" });
  return () => {
    model.off("msg:custom", received);
    model.off("change:threshold", thresholdSet);
    explorer?.destroy();
  };
}

export default { render };
