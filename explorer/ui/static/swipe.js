// Two pictures in one box: the right one is cut off at the handle. Gradio supplies element, props,
// trigger and watch.

const root = element.querySelector(".fx");
root.classList.add("fx-swipe");
const state = { frame: [1, 1], view: WHOLE, hover: null, query: null, split: 0.5, value: null };
let dirty = { paint: false };
let scheduled = false;

const host = {
	root,
	state,
	schedule,
	setView,
	pick: setQuery,
	pictureOf: () => pictures[1],
	captive: () => false,
	keys: (event) => (event.key === " " ? () => setSplit(state.split > 0.5 ? 0 : 1) : null),
};

const { bar, level } = viewBar(host, "drag the handle · space flips · wheel zooms · drag pans");
root.append(bar);
const stage = root.appendChild(makeStage(""));
const layers = ["left", "right"].map((side) => stage.appendChild(make("div", `fx-layer fx-${side}`)));
const pictures = layers.map((layer) => new Picture(layer, state));
const names = layers.map((layer) => layer.appendChild(make("div", "fx-name")));
const handle = stage.appendChild(make("div", "fx-handle"));
handle.tabIndex = 0;
handle.setAttribute("role", "slider");
handle.setAttribute("aria-label", "Where the right panel starts, in percent");
handle.setAttribute("aria-valuemin", 0);
handle.setAttribute("aria-valuemax", 100);
const readout = root.appendChild(make("div", "fx-readout"));
const feet = root.appendChild(make("div", "fx-feet"));

handle.addEventListener("pointerdown", (event) => {
	if (event.button === 0) handle.setPointerCapture(event.pointerId);
});
handle.addEventListener("pointermove", (event) => {
	if (!handle.hasPointerCapture(event.pointerId)) return;
	const { left, width } = stage.getBoundingClientRect();
	setSplit((event.clientX - left) / width);
});
handle.addEventListener("keydown", (event) => {
	const way = { ArrowLeft: -1, ArrowRight: 1, Home: -100, End: 100 }[event.key];
	if (!way) return;
	event.preventDefault();
	setSplit(state.split + (way * (event.shiftKey ? 10 : 1)) / 100);
});

function setSplit(split) {
	state.split = clamp(split, 0, 1);
	const percent = `${(state.split * 100).toFixed(2)}%`;
	layers[1].style.clipPath = `inset(0 0 0 ${percent})`;
	handle.style.left = percent;
	handle.setAttribute("aria-valuenow", Math.round(state.split * 100));
}

function schedule(kind) {
	dirty[kind] = true;
	if (scheduled) return;
	scheduled = true;
	requestAnimationFrame(() => {
		const { paint } = dirty;
		scheduled = false;
		dirty = { paint: false };
		for (const picture of pictures) paint ? picture.paint() : picture.paintOverlay();
		level.textContent = levelText(state.view.zoom);
		root.classList.toggle("fx-zoomed", state.view.zoom > 1);
		writeReadout();
	});
}

function writeReadout() {
	const point = state.hover?.point || state.query;
	const parts = [];
	if (point) {
		const { row, col } = pixelOf(point, state.frame);
		parts.push(make("b", "", state.hover ? "Pointer" : "Query"));
		parts.push(make("span", "", `row ${row}, col ${col} of ${state.frame[0]}×${state.frame[1]}`));
		for (const picture of pictures) {
			const color = picture.colorAt(point);
			if (!color) continue;
			const text = make("span", "");
			text.append(swatch(color), `rgb ${color.join(" ")}`, make("span", "fx-where", title(picture.entry)));
			parts.push(text);
		}
	}
	readout.replaceChildren(...parts);
}

function setView(view) {
	state.view = clampView(view);
	schedule("paint");
}

// The panel a point belongs to is the one seen there.
function setQuery(point) {
	if (samePoint(point, state.query)) return;
	state.query = point;
	schedule("overlay");
	const { x, width } = pictures[1].placed;
	const across = (x + point.col * width) / pictures[1].bitmap.width;
	const { backbone, method } = state.value.panels[state.value.sides[across < state.split ? 0 : 1]];
	root.picked = { ...point, backbone, method };
	trigger("select", root.picked);
}

function sync() {
	const before = state.value;
	const value = props.value?.sides ? props.value : null;
	state.value = value;
	root.classList.toggle("fx-empty", !value);
	if (!value) return;
	if (JSON.stringify(value.query) !== JSON.stringify(before?.query ?? null)) {
		state.query = value.query && { row: value.query[0], col: value.query[1] };
	}
	if (String(value.output_size) !== String(state.frame)) state.view = WHOLE;
	state.frame = value.output_size;
	root.style.setProperty("--fx-aspect", state.frame[1] / state.frame[0]);
	const entries = value.sides.map((key) => value.panels[key]);
	forget(entries);
	stage.setAttribute("aria-label", entries.map(title).join(" against "));
	feet.replaceChildren(
		...entries.map((entry, side) => {
			names[side].textContent = title(entry);
			const foot = make("div", "fx-foot");
			foot.append(...footer(entry));
			return foot;
		}),
	);
	entries.forEach((entry, side) => show(side, entry));
	schedule("paint");
}

function show(side, entry) {
	const current = () => state.value?.panels[state.value.sides[side]] === entry;
	load(entry.image.url).then(
		(image) => {
			if (current()) pictures[side].show(entry, image);
			schedule("overlay");
		},
		() => current() && (names[side].textContent = "This picture could not be loaded; run it again."),
	);
}

setSplit(0.5);
listen(host);
watch("value", sync);
sync();
