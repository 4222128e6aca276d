// A photo to paint strokes on, one colour per class. Gradio supplies element, props, trigger, watch.
// The server reads root.painted when told that something changed; nothing is kept anywhere else.

Object.assign(ICONS, {
	undo: "M6 3.5 3 6.5l3 3M3 6.5h6.5a3.5 3.5 0 0 1 0 7H7",
	redo: "M10 3.5l3 3-3 3M13 6.5H6.5a3.5 3.5 0 0 0 0 7H9",
	clear: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
});

const root = element.querySelector(".fx");
root.classList.add("sc");
const { palette, limits, brush } = props.value;
const state = { frame: [1, 1], view: WHOLE, hover: null, query: null, photo: null, radius: brush };
const kept = new Map(); // photo id -> what was painted on it
let doc = new Doc(palette);
let drawing = null; // the stroke under the pointer
let loaded = null; // serial of the last file
let scheduled = false;

const host = { root, state, setView };
const list = new ClassList(limits.name, say, changed);
const tools = make("div", "fx-bar sc-tools");
const size = make("input", "sc-size");
const preview = make("i", "sc-dot");
const stage = makeStage("");
const notice = make("div", "sc-notice");
const undo = button("undo", "Undo (Ctrl+Z)", () => doc.undo() && renewed());
const redo = button("redo", "Redo (Ctrl+Shift+Z)", () => doc.redo() && renewed());
const clear = button("clear", "Clear all strokes", () => doc.clear() && renewed());
const { bar, level } = viewBar(host, "");

class Sheet extends Picture {
	paintOverlay() {
		const context = this.overlay.getContext("2d");
		context.clearRect(0, 0, this.overlay.width, this.overlay.height);
		if (!this.image || !this.overlay.width) return;
		for (const stroke of doc.strokes) this.trace(context, stroke, doc.byId(stroke.id).color);
		if (drawing) this.trace(context, drawing, doc.byId(drawing.id).color);
		if (state.hover && !drawing && doc.active) this.ring(context, state.hover.point);
	}

	reach(radius) {
		return Math.max(radius * Math.max(this.placed.width, this.placed.height), 0.5);
	}

	trace(context, { points, radius }, color) {
		const { x, y, width, height } = this.placed;
		const path = new Path2D();
		points.forEach(([row, col], at) => {
			path[at ? "lineTo" : "moveTo"](x + col * width, y + row * height);
		});
		if (points.length === 1) path.lineTo(x + points[0][1] * width + 0.01, y + points[0][0] * height);
		const ratio = window.devicePixelRatio || 1;
		context.lineCap = context.lineJoin = "round";
		for (const [style, extra] of [
			["rgba(0, 0, 0, .55)", 1.5 * ratio],
			[`rgb(${color.join(", ")})`, 0],
		]) {
			context.strokeStyle = style;
			context.lineWidth = 2 * this.reach(radius) + extra;
			context.stroke(path);
		}
	}

	ring(context, { row, col }) {
		const { x, y, width, height } = this.placed;
		const pen = new Pen(context, this.placed, window.devicePixelRatio || 1);
		const around = (radius) => (on) =>
			on.arc(x + col * width, y + row * height, radius, 0, 2 * Math.PI);
		pen.stroke(`rgb(${doc.active.color.join(", ")})`, 1.5, around(this.reach(state.radius)));
	}
}

const sheet = new Sheet(stage, state);

function setUp() {
	size.type = "range";
	[size.min, size.max, size.step] = [0, 1, 0.01];
	size.value = Math.log(brush / limits.thin) / Math.log(limits.thick / limits.thin);
	size.setAttribute("aria-label", "Brush size");
	size.title = "Brush size ([ and ])";
	size.addEventListener("input", () => setRadius(limits.thin * (limits.thick / limits.thin) ** size.value));
	const label = make("label", "sc-brush", "Brush");
	label.append(size, make("span", "sc-frame"));
	label.lastChild.append(preview);
	bar.querySelector(".fx-hint").remove();
	tools.append(label, undo, redo, clear, make("span", "sc-space"), ...bar.childNodes);
	notice.setAttribute("role", "status");
	stage.setAttribute("aria-label", "The photo to paint on");
	const hint = make("div", "sc-hint", "Drag paints · wheel zooms · Shift+drag or two fingers move · keys 1–9 choose a class");
	root.append(list.node, tools, stage, notice, hint);
	Object.defineProperty(root, "painted", { get: painted, configurable: true });
	setRadius(brush);
	list.show(doc);
}

function painted() {
	return { photo: state.photo?.id ?? null, visible: root.offsetParent !== null, strokes: doc.toJSON() };
}

function say(text, fine = false) {
	notice.textContent = text || "";
	notice.classList.toggle("sc-fine", fine);
}

function changed() {
	schedule();
	trigger("input");
}

function renewed() {
	say("");
	list.show(doc);
	changed();
}

function setRadius(radius) {
	state.radius = clamp(radius, limits.thin, limits.thick);
	schedule();
}

function setView(view) {
	state.view = clampView(view);
	schedule();
}

function schedule() {
	if (scheduled) return;
	scheduled = true;
	requestAnimationFrame(() => {
		scheduled = false;
		sheet.paint();
		level.textContent = levelText(state.view.zoom);
		enable(undo, doc.past.length);
		enable(redo, doc.future.length);
		enable(clear, doc.strokes.length);
		const shown = 2 * sheet.reach(state.radius) / (window.devicePixelRatio || 1);
		preview.style.width = preview.style.height = `${Math.min(shown, 24)}px`;
	});
}

// A button that goes dead would take the keyboard with it.
function enable(tool, use) {
	if (!use && document.activeElement === tool) stage.focus({ preventScroll: true });
	tool.disabled = !use;
}

// --- pointers: one paints; two, the middle button or Shift move the photo ---

const pointers = new Map(); // id -> last [x, y]
let moving = false;

const spot = (event) => sheet.pointAt(event.clientX, event.clientY);
const canPaint = () => sheet.image && doc.active;

// In pixels of the photo's longer side, so that a round brush has evenly spaced points.
function far([row, col], [lastRow, lastCol], step) {
	const [height, width] = state.frame;
	return Math.hypot((row - lastRow) * height, (col - lastCol) * width) >= step * Math.max(height, width);
}

function extend(event) {
	const { row, col } = spot(event);
	const point = [clamp(row, -0.5, 1.5), clamp(col, -0.5, 1.5)].map((part) => Number(part.toFixed(5)));
	const last = drawing.points.at(-1);
	const step = Math.max(drawing.radius / 4, 0.0015 / state.view.zoom);
	if (last && !far(point, last, step)) return;
	if (drawing.points.length < limits.points) drawing.points.push(point);
}

stage.addEventListener("pointerdown", (event) => {
	if (!canPaint() || event.button > 1 || (event.button === 1 && pointers.size)) return;
	pointers.set(event.pointerId, [event.clientX, event.clientY]);
	stage.setPointerCapture(event.pointerId);
	if (pointers.size > 1 || event.button === 1 || event.shiftKey) {
		moving = true;
		drawing = null;
		if (event.button === 1) event.preventDefault();
		return schedule();
	}
	if (!roomFor(doc, limits)) return say("That is as much as can be painted; undo or clear some strokes.");
	drawing = { id: doc.active.id, points: [], radius: Number(state.radius.toFixed(5)) };
	extend(event);
	schedule();
});

stage.addEventListener("pointermove", (event) => {
	const point = spot(event);
	state.hover = inside(point) && event.pointerType !== "touch" ? { stage, point } : null;
	const last = pointers.get(event.pointerId);
	if (last) pointers.set(event.pointerId, [event.clientX, event.clientY]);
	if (last && moving) move(event, last);
	else if (drawing) for (const each of event.getCoalescedEvents?.() || [event]) extend(each);
	schedule();
});

function move(event, last) {
	const scale = sheet.bitmap.width / sheet.bitmap.getBoundingClientRect().width;
	const { width, height } = sheet.placed;
	const others = [...pointers].filter(([id]) => id !== event.pointerId);
	if (!others.length) {
		const { zoom, row, col } = state.view;
		const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
		return setView({ zoom, row: row - (dy * scale) / height, col: col - (dx * scale) / width });
	}
	const other = others[0][1];
	const apart = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
	const now = [event.clientX, event.clientY];
	const middle = sheet.pointAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
	setView(zoomAround(state.view, apart(now) / apart(last), middle));
}

function lift(event) {
	if (!pointers.delete(event.pointerId)) return;
	const stroke = event.type === "pointerup" ? drawing : null;
	drawing = null;
	if (!pointers.size) moving = false;
	if (!stroke?.points.length || !doc.byId(stroke.id)) return schedule();
	doc.paint(stroke);
	say("");
	changed();
}
stage.addEventListener("pointerup", lift);
stage.addEventListener("pointercancel", lift);
stage.addEventListener("pointerleave", () => {
	state.hover = null;
	schedule();
});

// A turn that is scrolling the page goes on scrolling it when the photo slides under the pointer.
let scrolled = 0;
const elsewhere = (event) => {
	if (!stage.contains(event.target)) scrolled = event.timeStamp;
};
window.addEventListener("wheel", elsewhere, { passive: true });
const wheel = (event) => {
	const passes = (event.deltaY > 0 && state.view.zoom <= 1) || event.timeStamp - scrolled < 250;
	if (!sheet.image || passes) return void (scrolled = event.timeStamp);
	event.preventDefault();
	const turned = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1);
	setView(zoomAround(state.view, Math.exp(-clamp(turned, -240, 240) / 400), spot(event)));
};
stage.addEventListener("wheel", wheel, { passive: false });

root.addEventListener("keydown", (event) => {
	if (event.target.matches("input:not([type=range])") || event.altKey) return;
	const act = keyAction(event);
	if (!act) return;
	event.preventDefault();
	act();
});

function keyAction({ key, ctrlKey, metaKey, shiftKey }) {
	if (ctrlKey || metaKey) {
		if (key.toLowerCase() === "z") return () => (shiftKey ? doc.redo() : doc.undo()) && renewed();
		return key.toLowerCase() === "y" ? () => doc.redo() && renewed() : null;
	}
	if (/^[1-9]$/.test(key)) return () => list.choose(doc.classes[key - 1]);
	if (key === "[" || key === "]") return () => resize(key === "]" ? 1.2 : 1 / 1.2);
	if (key === "+" || key === "=") return () => zoomBy(host, 1.5);
	if (key === "-" || key === "_") return () => zoomBy(host, 1 / 1.5);
	return key === "0" ? () => setView(WHOLE) : null;
}

function resize(factor) {
	setRadius(state.radius * factor);
	size.value = Math.log(state.radius / limits.thin) / Math.log(limits.thick / limits.thin);
}

// --- what the server says: which photo, and what a file held ---

function sync() {
	const { photo, file } = props.value ?? {};
	if (photo && photo.id !== state.photo?.id) turnTo(photo);
	if (file && file.serial !== loaded) {
		loaded = file.serial;
		doc.load(file.strokes);
		renewed();
		say(file.note, true);
	}
	schedule();
}

// Strokes belong to their photo: another one starts empty, coming back finds them again.
function turnTo(photo) {
	if (state.photo) kept.set(state.photo.id, doc);
	const found = kept.get(photo.id);
	if (found) doc = found;
	else if (state.photo) {
		const names = doc.classes;
		doc = new Doc(palette);
		doc.classes = [];
		for (const { name, color } of names) doc.addClass(name, color);
		doc.active = doc.classes[0] || null;
	}
	state.photo = photo;
	state.frame = photo.size;
	state.view = WHOLE;
	drawing = null;
	root.style.setProperty("--fx-aspect", photo.size[1] / photo.size[0]);
	list.show(doc);
	const entry = { size: photo.size };
	load(photo.image.url).then(
		(image) => state.photo === photo && (sheet.show(entry, image), schedule()),
		() => state.photo === photo && say("The photo could not be loaded; choose it again."),
	);
	if (doc.strokes.length) trigger("input");
}

setUp();
watch("value", sync);
sync();
setTimeout(() => trigger("input")); // on screen for the first time: the server sends the photo
