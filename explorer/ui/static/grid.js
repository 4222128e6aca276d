// The grid: cells from the value, and one crosshair, zoom and query point for all of them.
// Gradio supplies element, props, trigger and watch.

const root = element.querySelector(".fx");
const state = {
	frame: [1, 1], // output_size, [height, width]
	view: WHOLE,
	hover: null, // {key, point, stage}
	query: null,
	selected: null,
	value: null,
};
const LABEL = 30; // px of a row's label and its gap
const GAP = 8; // px between panels
const UNDER = 92; // px of a panel's name and what stands under its picture
const AROUND = 110; // px of the window beside the panels: zoom bar, readout, a margin
const PHONE = 480; // px of width under which panels stand under each other
const NARROWEST = 160; // px of a picture's width
const cards = new Map();
const sent = []; // points reported but not yet echoed by the server
let dirty = { paint: false, overlay: false };
let scheduled = false;

const host = {
	root,
	state,
	schedule,
	setView,
	pick: setQuery,
	pictureOf: (stage) => (stage === dialogStage ? dialogPicture : cards.get(stage.dataset.key)?.picture),
	captive: () => dialog.open,
	keys: (event, stage) => {
		if (event.key === "Enter" && !dialog.open) return () => expand(stage.dataset.key);
		if (event.key === "PageUp" && dialog.open) return () => turn(-1);
		if (event.key === "PageDown" && dialog.open) return () => turn(1);
		return null;
	},
};

const { bar, level } = viewBar(
	host,
	"wheel zooms · drag pans · click sets the query · arrow keys move it by one pixel",
);
root.append(bar);
const scroll = root.appendChild(make("div", "fx-scroll"));
const table = scroll.appendChild(make("div", "fx-table"));
table.setAttribute("role", "group");
table.setAttribute("aria-label", "Linked panels");
const readout = root.appendChild(make("div", "fx-readout"));

const dialog = root.appendChild(make("dialog", "fx-dialog"));
const dialogTitle = make("strong", "fx-title");
const dialogHead = dialog.appendChild(make("header", "fx-bar"));
dialogHead.append(
	dialogTitle,
	button("previous", "Previous panel (Page Up)", () => turn(-1)),
	button("next", "Next panel (Page Down)", () => turn(1)),
	button("download", "Download this panel as PNG", () => download(dialogPicture.entry)),
	button("close", "Close (Escape)", () => dialog.close()),
);
const dialogStage = dialog.appendChild(makeStage(""));
const dialogPicture = new Picture(dialogStage, state);
const dialogReadout = dialog.appendChild(make("div", "fx-readout"));

function schedule(kind) {
	dirty[kind] = true;
	if (scheduled) return;
	scheduled = true;
	requestAnimationFrame(() => {
		const { paint } = dirty;
		scheduled = false;
		dirty = { paint: false, overlay: false };
		const pictures = [...cards.values()].map((card) => card.picture);
		if (dialog.open) pictures.push(dialogPicture);
		for (const picture of pictures) paint ? picture.paint() : picture.paintOverlay();
		level.textContent = levelText(state.view.zoom);
		root.classList.toggle("fx-zoomed", state.view.zoom > 1);
		for (const card of cards.values()) {
			card.node.classList.toggle("fx-hovered", card.stage === state.hover?.stage);
			card.node.classList.toggle("fx-selected", card.stage.dataset.key === state.selected);
		}
		writeReadout();
	});
}

function writeReadout() {
	const point = state.hover?.point || state.query;
	const key = state.hover?.key || state.selected;
	const parts = [];
	if (point) {
		const [height, width] = state.frame;
		const { row, col } = pixelOf(point, state.frame);
		parts.push(make("b", "", state.hover ? "Pointer" : "Query"));
		parts.push(make("span", "", `row ${row}, col ${col} of ${height}×${width}`));
		const entry = state.value?.panels[key];
		const grid = state.value?.grids[entry?.row];
		if (grid) {
			const cell = pixelOf(point, grid);
			parts.push(make("span", "", `cell ${cell.row}, ${cell.col} of ${grid[0]}×${grid[1]}`));
			parts.push(...cellTexts(entry.row, cell, grid));
		}
		const color = cards.get(key)?.picture.colorAt(point);
		if (color) {
			const text = make("span", "");
			text.append(swatch(color), `rgb ${color.join(" ")}`);
			parts.push(text);
		}
		if (entry) parts.push(make("span", "fx-where", title(entry)));
	} else {
		parts.push(make("span", "fx-where", "Point at a picture to read its pixels in every panel."));
	}
	for (const line of [readout, dialogReadout]) {
		line.replaceChildren(...parts.map((part) => part.cloneNode(true)));
	}
}

// What every panel of the row says of the cell under the pointer, so that methods can be compared.
function cellTexts(row, cell, grid) {
	const found = [];
	for (const panel of Object.values(state.value.panels)) {
		if (panel.row !== row || !panel.cells || String(panel.cells.size) !== String(grid)) continue;
		const text = make("span", "fx-cell");
		const value = panel.cells.values[cell.row * grid[1] + cell.col];
		text.append(`${panel.column} `, make("b", "", value));
		found.push(text);
	}
	return found;
}

function setView(view) {
	state.view = clampView(view);
	schedule("paint");
}

function setQuery(point, key) {
	const moved = !samePoint(point, state.query);
	const other = key !== state.selected;
	state.query = point;
	state.selected = key;
	schedule("overlay");
	if (moved || other) report(key);
}

// A listener reads root.picked rather than the event: Gradio's always_last runs a deferred event with
// the data of an earlier one.
function report(key) {
	const { row, col } = state.query;
	sent.push({ row, col });
	if (sent.length > 200) sent.shift();
	const { backbone, method } = state.value?.panels[key] ?? {};
	root.picked = { row, col, backbone, method };
	trigger("select", root.picked);
}

// A server's echo of an earlier point must not pull the marker back from where the user is now.
function acceptQuery(query, before) {
	const point = query && { row: query[0], col: query[1] };
	const echo = point ? sent.findIndex((earlier) => samePoint(earlier, point)) : -1;
	if (echo >= 0) sent.splice(0, echo + 1);
	else if (JSON.stringify(query) !== JSON.stringify(before)) state.query = point;
}

function sync() {
	const before = state.value;
	const value = props.value?.panels ? props.value : null;
	state.value = value;
	root.classList.toggle("fx-empty", !value);
	if (value) acceptQuery(value.query, before?.query ?? null);
	if (value && value.selected !== (before?.selected ?? null)) state.selected = value.selected;
	const size = value?.output_size || [1, 1];
	if (String(size) !== String(state.frame)) state.view = WHOLE;
	state.frame = size;
	layout(value || { rows: [], columns: [], panels: {} }, value?.shows === before?.shows);
	const entries = Object.values(value?.panels || {});
	forget(entries);
	const loads = entries.filter((entry) => entry.image).map((entry) => load(entry.image.url));
	Promise.allSettled(loads).then(() => schedule("overlay")); // the readout names a colour
	const entry = value?.panels[dialogStage.dataset.key];
	if (dialog.open) entry?.image ? showInDialog(dialogStage.dataset.key) : dialog.close();
	schedule("paint");
}

// ``keep``: pictures that are there may stand in for those that are still made.
function layout({ rows, columns, panels }, keep = true) {
	const aspect = state.frame[1] / state.frame[0];
	root.style.setProperty("--fx-aspect", aspect);
	root.style.setProperty("--fx-shrink", Math.min(1, Math.sqrt(aspect)));
	const across = fit(rows.length, columns.length, aspect);
	// The place of a cell: one row of panels takes as many lines as make its pictures largest.
	const line = (row, column) => 2 * (rows.length === 1 ? Math.floor(column / across) : row) + 1;
	const place = (column) => (column % across) + 2;
	for (const label of table.querySelectorAll(".fx-label, .fx-gap")) label.remove();
	const put = (node, row, column) => {
		node.style.gridArea = column === undefined ? row : `${row} / ${column}`;
		if (node.parentNode !== table) table.append(node);
	};
	columns.forEach((name, at) => put(label("fx-column", name), line(0, at), place(at)));
	// A row's label owns the whole row, or it could not stick to the left edge while that scrolls.
	const last = line(rows.length - 1, columns.length - 1) + 1;
	rows.forEach((name, at) =>
		put(label("fx-row", name), rows.length === 1 ? `2 / 1 / ${last + 1} / -1` : `${line(at, 0) + 1} / 1 / auto / -1`),
	);
	const seen = new Set();
	rows.forEach((row, rowAt) =>
		columns.forEach((column, columnAt) => {
			const key = `${row}\x1f${column}`;
			if (!panels[key]) return put(make("div", "fx-gap"), line(rowAt, columnAt) + 1, place(columnAt));
			seen.add(key);
			if (!cards.has(key)) cards.set(key, new Card(key, state, expand));
			const card = cards.get(key);
			put(card.node, line(rowAt, columnAt) + 1, place(columnAt));
			card.show(panels[key], keep);
		}),
	);
	for (const [key, card] of cards) {
		if (seen.has(key)) continue;
		card.remove();
		cards.delete(key);
		if (state.hover?.key === key) state.hover = null;
	}
	arrange();
}

// How many panels stand beside each other. Panels of one row are wrapped so that their pictures are as
// large as the window allows; several rows share the width, down to a size at which the table scrolls.
function fit(rows, columns, aspect) {
	const width = root.clientWidth - LABEL;
	let across = Math.max(columns, 1);
	let best = 0;
	if (rows === 1 && width > 0 && width < PHONE) [best, across] = [width, 1];
	else if (rows === 1 && width > 0) {
		for (let count = 1; count <= columns; count++) {
			const lines = Math.ceil(columns / count);
			const high = (window.innerHeight - AROUND) / lines - UNDER;
			const wide = Math.min((width - GAP * (count - 1)) / count, high * aspect);
			if (wide > best) [best, across] = [wide, count];
		}
		best = Math.min(Math.max(best, NARROWEST * Math.min(1, aspect)), (width - GAP * (across - 1)) / across);
	}
	root.style.setProperty("--fx-columns", across);
	root.style.setProperty("--fx-cell", best ? `${Math.floor(best)}px` : "0px");
	root.classList.toggle("fx-wrapped", best > 0);
	return across;
}

// What the size of the window decides, when it changes.
let fitted = "";
function refit() {
	const size = `${root.clientWidth}x${window.innerHeight}`;
	if (size === fitted) return;
	fitted = size;
	const value = state.value;
	if (value) layout(value);
	schedule("paint");
}

function label(name, text) {
	const node = make("div", `fx-label ${name}`);
	node.append(make("span", "", text));
	node.title = text;
	return node;
}

function order() {
	const { rows = [], columns = [] } = state.value || {};
	const keys = rows.flatMap((row) => columns.map((column) => `${row}\x1f${column}`));
	return keys.filter((key) => cards.has(key));
}

// The keyboard walks the document, so that has to be in reading order even if panels came in another.
function arrange() {
	const wanted = order().map((key) => cards.get(key).node);
	const found = [...table.querySelectorAll(".fx-card")];
	if (wanted.every((node, at) => node === found[at])) return;
	const focused = document.activeElement;
	table.append(...wanted);
	if (table.contains(focused)) focused.focus({ preventScroll: true });
}

function expand(key) {
	if (!state.value?.panels[key]?.image) return;
	showInDialog(key);
	if (!dialog.open) dialog.showModal();
	dialogStage.focus();
	schedule("paint");
}

function showInDialog(key) {
	const entry = state.value.panels[key];
	dialogStage.dataset.key = key;
	dialogTitle.textContent = title(entry);
	dialogStage.setAttribute("aria-label", title(entry));
	load(entry.image.url).then((image) => {
		if (dialogStage.dataset.key === key) dialogPicture.show(entry, image);
	});
}

function turn(step) {
	const keys = order().filter((key) => state.value.panels[key].image);
	const at = keys.indexOf(dialogStage.dataset.key);
	expand(keys[(at + step + keys.length) % keys.length]);
}

listen(host);
new ResizeObserver(refit).observe(root);
window.addEventListener("resize", refit);
watch("value", sync);
sync();
