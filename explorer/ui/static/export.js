// Zoom boxes drawn on one panel's picture; in fractions they are the same on every panel. Gradio
// supplies element, props, trigger and watch. The server reads root.boxes when told of a change.

Object.assign(ICONS, {
	bin: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
});

const root = element.querySelector(".fx");
root.classList.add("ex");
const LEAST = 0.02; // of the picture: anything smaller is a click
const state = { boxes: [], active: -1, serial: null, frame: [1, 1], limit: 0, colors: [] };
// {at, anchor} draws or resizes a box, {at, from, box} moves it. The stage is where it was at the
// start: a preview above that arrives meanwhile may push it up or down.
let gesture = null;
let under = null; // the stage's rectangle at the start
let told = "[]"; // what the server knows
let later = 0;

const bar = root.appendChild(make("div", "fx-bar"));
const choose = make("select", "ex-choose");
choose.setAttribute("aria-label", "Panel that boxes are drawn on");
const remove = button("bin", "Delete the chosen box (Delete)", () => drop(state.active));
bar.append(make("span", "", "Zoom boxes on"), choose, remove);
const stage = root.appendChild(make("div", "ex-stage"));
stage.setAttribute("role", "application");
const picture = stage.appendChild(make("img", "ex-picture"));
picture.draggable = false;
const readout = root.appendChild(make("div", "ex-readout"));
Object.defineProperty(root, "boxes", { get: () => state.boxes, configurable: true });

function pointOf(event) {
	const { left, top, width, height } = under;
	const snap = (part, side) => Math.round(clamp(part, 0, 1) * side) / side;
	const [rows, cols] = state.frame;
	return [snap((event.clientY - top) / height, rows), snap((event.clientX - left) / width, cols)];
}

const spanning = ([r0, c0], [r1, c1]) => [
	Math.min(r0, r1),
	Math.max(r0, r1),
	Math.min(c0, c1),
	Math.max(c0, c1),
];
const tooSmall = ([r0, r1, c0, c1]) => r1 - r0 < LEAST || c1 - c0 < LEAST;

function moved([r0, r1, c0, c1], down, right) {
	const row = clamp(r0 + down, 0, 1 - (r1 - r0));
	const col = clamp(c0 + right, 0, 1 - (c1 - c0));
	return [row, Math.min(row + r1 - r0, 1), col, Math.min(col + c1 - c0, 1)];
}

stage.addEventListener("pointerdown", (event) => {
	if (event.button !== 0 || !picture.src) return;
	event.preventDefault();
	under = stage.getBoundingClientRect();
	const point = pointOf(event);
	const at = Number(event.target.closest(".ex-box")?.dataset.at ?? -1);
	const corner = event.target.dataset.corner;
	if (at < 0 && state.boxes.length >= state.limit) {
		return say(`A figure takes ${state.limit} boxes: move one, or delete one first.`);
	}
	stage.setPointerCapture(event.pointerId);
	if (at < 0) {
		state.boxes.push(spanning(point, point));
		gesture = { at: state.boxes.length - 1, anchor: point };
	} else if (corner) {
		const [r0, r1, c0, c1] = state.boxes[at];
		gesture = { at, anchor: [corner[0] === "0" ? r1 : r0, corner[1] === "0" ? c1 : c0] };
	} else {
		gesture = { at, from: point, box: state.boxes[at] };
	}
	state.active = gesture.at;
	draw();
	stage.querySelector(`[data-at="${gesture.at}"]`).focus({ preventScroll: true });
});

stage.addEventListener("pointermove", (event) => {
	if (!gesture) return;
	const point = pointOf(event);
	const { at, anchor, from, box } = gesture;
	state.boxes[at] = anchor
		? spanning(anchor, point)
		: moved(box, point[0] - from[0], point[1] - from[1]);
	put(at);
	describe();
});

function lift(event) {
	if (!gesture) return;
	const { at } = gesture;
	gesture = null;
	if (tooSmall(state.boxes[at])) drop(at);
	else commit();
	event.stopPropagation();
}
stage.addEventListener("pointerup", lift);
stage.addEventListener("pointercancel", lift);

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
stage.addEventListener("keydown", (event) => {
	const at = Number(event.target.closest(".ex-box")?.dataset.at ?? -1);
	if (at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
	const step = STEPS[event.key];
	if (event.key === "Delete" || event.key === "Backspace") drop(at);
	else if (step) {
		const pixels = event.shiftKey ? 10 : 1;
		const [rows, cols] = state.frame;
		const by = [(step[0] * pixels) / rows, (step[1] * pixels) / cols];
		state.boxes[at] = moved(state.boxes[at], ...by);
		put(at);
		describe();
		clearTimeout(later);
		later = setTimeout(commit, 350); // a held key is one change
	} else return;
	event.preventDefault();
});

stage.addEventListener("focusin", (event) => {
	const at = Number(event.target.dataset.at ?? -1);
	if (at < 0) return;
	state.active = at;
	mark();
});

function drop(at) {
	if (at < 0 || at >= state.boxes.length) return;
	state.boxes.splice(at, 1);
	state.active = Math.min(at, state.boxes.length - 1);
	draw();
	stage.querySelector(`[data-at="${state.active}"]`)?.focus({ preventScroll: true });
	commit();
}

function commit() {
	clearTimeout(later);
	const now = JSON.stringify(state.boxes);
	if (now === told) return;
	told = now;
	trigger("input");
}

function say(text) {
	readout.textContent = text;
}

function describe() {
	const box = state.boxes[state.active];
	if (state.boxes.length && root.classList.contains("ex-unused")) {
		return say("Not in the figure now: tick “Zoom boxes”, or move one.");
	}
	if (!box) {
		return say(
			state.boxes.length
				? "Drag a box to move it, its corners to resize it."
				: "Drag on the picture to enlarge a part of every panel.",
		);
	}
	const [rows, cols] = state.frame;
	const [r0, r1, c0, c1] = box.map((part, side) => Math.round(part * (side < 2 ? rows : cols)));
	say(`Box ${state.active + 1}: rows ${r0}–${r1}, columns ${c0}–${c1} of ${rows}×${cols}`);
}

function mark() {
	for (const node of stage.querySelectorAll(".ex-box")) {
		node.classList.toggle("ex-on", Number(node.dataset.at) === state.active);
	}
	remove.disabled = state.active < 0;
	describe();
}

function put(at) {
	const node = stage.querySelector(`[data-at="${at}"]`);
	const [r0, r1, c0, c1] = state.boxes[at].map((part) => part * 100);
	Object.assign(node.style, {
		top: `${r0}%`,
		height: `${r1 - r0}%`,
		left: `${c0}%`,
		width: `${c1 - c0}%`,
	});
	node.setAttribute("aria-label", `Zoom box ${at + 1}`);
}

function draw() {
	for (const node of stage.querySelectorAll(".ex-box")) node.remove();
	state.boxes.forEach((_, at) => {
		const node = stage.appendChild(make("div", "ex-box"));
		node.dataset.at = at;
		node.tabIndex = 0;
		node.setAttribute("role", "group");
		node.style.setProperty("--ex-color", state.colors[at]);
		for (const corner of ["00", "01", "10", "11"]) {
			node.appendChild(make("i", `ex-corner ex-${corner}`)).dataset.corner = corner;
		}
		put(at);
	});
	mark();
}

function show() {
	const entry = props.value?.pictures?.[Number(choose.value)];
	if (!entry) return;
	picture.src = entry.image.url;
	picture.alt = entry.title;
	stage.classList.toggle("ex-coarse", entry.size[1] < state.frame[1]);
}

choose.addEventListener("change", show);

function sync() {
	const value = props.value ?? {};
	const pictures = value.pictures ?? [];
	root.classList.toggle("ex-empty", !pictures.length);
	if (!pictures.length) return;
	root.classList.toggle("ex-unused", !value.used);
	state.frame = value.frame;
	state.limit = value.limit;
	state.colors = value.colors;
	root.style.setProperty("--fx-aspect", value.frame[1] / value.frame[0]);
	const before = choose.selectedOptions[0]?.textContent;
	choose.replaceChildren(
		...pictures.map((entry, at) => {
			const option = make("option", "", entry.title);
			option.value = at;
			return option;
		}),
	);
	choose.value = Math.max(0, pictures.findIndex((entry) => entry.title === before));
	if (value.boxes && value.serial !== state.serial && !gesture) {
		state.serial = value.serial;
		state.boxes = value.boxes.map((box) => [...box]);
		state.active = -1;
		told = JSON.stringify(state.boxes);
		draw();
	}
	show();
	describe();
}

watch("value", sync);
sync();
