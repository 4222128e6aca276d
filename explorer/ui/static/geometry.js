// Where a picture lies in its box. Boxes and places are in device pixels, points are fractions
// {row, col} of the picture, sizes are [height, width]; nothing here touches the page.

const MAX_ZOOM = 64;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// A coarse grid's sides are rounded to whole cells: within one cell of the frame's aspect it shows
// the same field of view, and is stretched onto it. Anything else keeps its own shape.
function sameField([height, width], [frameHeight, frameWidth]) {
	return (
		Math.abs(height - (width * frameHeight) / frameWidth) < 1 ||
		Math.abs(width - (height * frameWidth) / frameHeight) < 1
	);
}

function place(box, size, frame, view) {
	let width = box.width;
	let height = box.height;
	if (!sameField(size, frame)) {
		const scale = Math.min(box.width / size[1], box.height / size[0]);
		width = size[1] * scale;
		height = size[0] * scale;
	}
	width *= view.zoom;
	height *= view.zoom;
	const start = (centre, inner, outer) =>
		inner <= outer ? (outer - inner) / 2 : clamp(outer / 2 - centre * inner, outer - inner, 0);
	return {
		x: start(view.col, width, box.width),
		y: start(view.row, height, box.height),
		width,
		height,
	};
}

function fractionAt(x, y, placed) {
	return { row: (y - placed.y) / placed.height, col: (x - placed.x) / placed.width };
}

function inside(point) {
	return point.row >= 0 && point.row < 1 && point.col >= 0 && point.col < 1;
}

function pixelOf(point, [height, width]) {
	return {
		row: clamp(Math.floor(point.row * height), 0, height - 1),
		col: clamp(Math.floor(point.col * width), 0, width - 1),
	};
}

function centreOf(pixel, [height, width]) {
	return { row: (pixel.row + 0.5) / height, col: (pixel.col + 0.5) / width };
}

function samePoint(a, b) {
	return a === b || (!!a && !!b && Math.hypot(a.row - b.row, a.col - b.col) < 1e-9);
}

// The shared view: a zoom and the fraction at the middle of every box.
function clampView(view) {
	const zoom = clamp(view.zoom, 1, MAX_ZOOM);
	const half = 0.5 / zoom;
	return { zoom, row: clamp(view.row, half, 1 - half), col: clamp(view.col, half, 1 - half) };
}

function zoomAround(view, factor, anchor) {
	const zoom = clamp(view.zoom * factor, 1, MAX_ZOOM);
	const keep = view.zoom / zoom;
	return clampView({
		zoom,
		row: anchor.row - (anchor.row - view.row) * keep,
		col: anchor.col - (anchor.col - view.col) * keep,
	});
}

function viewShowing(view, point) {
	const margin = 0.45 / view.zoom;
	return clampView({
		zoom: view.zoom,
		row: clamp(view.row, point.row - margin, point.row + margin),
		col: clamp(view.col, point.col - margin, point.col + margin),
	});
}
