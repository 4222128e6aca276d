// One picture on two canvases: the bitmap, and the lines over it that stay crisp at any zoom.

const LINES = { halo: "rgba(0,0,0,.5)", cross: "#fff", window: "#ffd84d", marker: "#ff7a45" };

const images = new Map(); // address -> promise of the decoded image

function load(url) {
	if (!images.has(url)) {
		const image = new Image();
		image.src = url;
		const ready = image.decode().then(() => image);
		ready.catch(() => images.delete(url));
		images.set(url, ready);
	}
	return images.get(url);
}

// Pictures on screen stay; the last few others too, for going back and forth.
function forget(entries, spare = 24) {
	const used = new Set(entries.map((entry) => entry.image?.url));
	const old = [...images.keys()].filter((url) => !used.has(url));
	for (const url of old.slice(0, Math.max(0, old.length - spare))) images.delete(url);
}

class Picture {
	constructor(stage, state) {
		this.stage = stage;
		this.state = state;
		this.image = null;
		this.entry = null;
		this.bitmap = stage.appendChild(document.createElement("canvas"));
		this.overlay = stage.appendChild(document.createElement("canvas"));
		this.probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
		this.probe.canvas.width = this.probe.canvas.height = 1;
		this.probe.imageSmoothingEnabled = false;
		this.observer = new ResizeObserver((changes) => this.resize(changes[0]));
		try {
			this.observer.observe(this.bitmap, { box: "device-pixel-content-box" });
		} catch {
			this.observer.observe(this.bitmap); // Safari has no such box
		}
	}

	show(entry, image) {
		this.entry = entry;
		this.image = image;
		this.paint();
	}

	resize({ contentRect, devicePixelContentBoxSize }) {
		const ratio = window.devicePixelRatio || 1;
		const exact = devicePixelContentBoxSize?.[0];
		// An emulated pixel ratio is missing from the exact size, a page zoom never is.
		const side = (css, device) =>
			device && Math.abs(device - css * ratio) < 2 ? device : Math.round(css * ratio);
		const width = side(contentRect.width, exact?.inlineSize);
		const height = side(contentRect.height, exact?.blockSize);
		for (const canvas of [this.bitmap, this.overlay]) {
			canvas.width = width;
			canvas.height = height;
		}
		this.paint();
	}

	get placed() {
		const size = this.entry?.size || this.state.frame;
		return place(this.bitmap, size, this.state.frame, this.state.view);
	}

	// The canvas rectangle in CSS pixels maps onto its device pixels, whatever the pixel ratio is.
	pointAt(clientX, clientY) {
		const rect = this.bitmap.getBoundingClientRect();
		const x = ((clientX - rect.left) / rect.width) * this.bitmap.width;
		const y = ((clientY - rect.top) / rect.height) * this.bitmap.height;
		return fractionAt(x, y, this.placed);
	}

	colorAt(point) {
		if (!this.image) return null;
		const { row, col } = pixelOf(point, this.entry.size);
		this.probe.clearRect(0, 0, 1, 1);
		this.probe.drawImage(this.image, col, row, 1, 1, 0, 0, 1, 1);
		return [...this.probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
	}

	paint() {
		const context = this.bitmap.getContext("2d");
		context.clearRect(0, 0, this.bitmap.width, this.bitmap.height);
		if (this.image && this.bitmap.width) {
			const { x, y, width, height } = this.placed;
			context.imageSmoothingEnabled = width < this.entry.size[1];
			context.imageSmoothingQuality = "high";
			context.drawImage(this.image, x, y, width, height);
		}
		this.paintOverlay();
	}

	paintOverlay() {
		const context = this.overlay.getContext("2d");
		context.clearRect(0, 0, this.overlay.width, this.overlay.height);
		if (!this.entry?.size || !this.overlay.width) return;
		const pen = new Pen(context, this.placed, window.devicePixelRatio || 1);
		const { hover } = this.state;
		const query = this.entry.queried === false ? null : this.state.query; // another photo's
		if (this.entry.rectangle) pen.rectangle(this.entry.rectangle, LINES.window);
		const [row, col] = this.entry.marker || [];
		const marker = this.entry.marker && { row, col };
		if (marker && !samePoint(marker, query)) pen.saltire(marker, LINES.marker);
		if (query) {
			const shown = pen.cell(query, this.entry.size, LINES.cross);
			const exact = String(this.entry.size) === String(this.state.frame);
			if (!(shown && exact)) pen.target(query, LINES.cross); // else the outline says it all
		}
		if (hover) {
			pen.cell(hover.point, this.entry.size, LINES.cross);
			pen.crosshair(hover.point, LINES.cross);
		}
	}
}

// Draws in fractions of a placed picture; every line has a dark halo to show on any colour.
class Pen {
	constructor(context, placed, ratio) {
		this.context = context;
		this.placed = placed;
		this.ratio = ratio;
	}

	position({ row, col }) {
		const { x, y, width, height } = this.placed;
		return [Math.round(x + col * width - 0.5) + 0.5, Math.round(y + row * height - 0.5) + 0.5];
	}

	stroke(color, width, trace) {
		const { context, ratio } = this;
		for (const [style, extra] of [
			[LINES.halo, 2],
			[color, 0],
		]) {
			context.beginPath();
			trace(context);
			context.strokeStyle = style;
			context.lineWidth = Math.round((width + extra) * ratio);
			context.stroke();
		}
	}

	lines(color, width, segments) {
		this.stroke(color, width, (context) => {
			for (const [x0, y0, x1, y1] of segments) {
				context.moveTo(x0, y0);
				context.lineTo(x1, y1);
			}
		});
	}

	rectangle([row0, row1, col0, col1], color, width = 1.5) {
		const [x0, y0] = this.position({ row: row0, col: col0 });
		const [x1, y1] = this.position({ row: row1, col: col1 });
		this.stroke(color, width, (context) => context.rect(x0, y0, x1 - x0, y1 - y0));
	}

	// The picture's own pixel under the point, once it is large enough; returns whether it is.
	cell(point, [height, width], color) {
		if (this.placed.width / width < 8 * this.ratio) return false;
		const { row, col } = pixelOf(point, [height, width]);
		this.rectangle([row / height, (row + 1) / height, col / width, (col + 1) / width], color, 1);
		return true;
	}

	crosshair(point, color) {
		const [x, y] = this.position(point);
		const { width, height } = this.context.canvas;
		const gap = 7 * this.ratio;
		this.lines(color, 1, [
			[0, y, x - gap, y],
			[x + gap, y, width, y],
			[x, 0, x, y - gap],
			[x, y + gap, x, height],
		]);
	}

	target(point, color) {
		const [x, y] = this.position(point);
		const [inner, outer] = [4 * this.ratio, 10 * this.ratio];
		this.lines(color, 1.5, [
			[x - outer, y, x - inner, y],
			[x + inner, y, x + outer, y],
			[x, y - outer, x, y - inner],
			[x, y + inner, x, y + outer],
		]);
		this.stroke(color, 1.5, (context) => context.arc(x, y, 7 * this.ratio, 0, 2 * Math.PI));
	}

	saltire(point, color) {
		const [x, y] = this.position(point);
		const arm = 6 * this.ratio;
		this.lines(color, 2, [
			[x - arm, y - arm, x + arm, y + arm],
			[x - arm, y + arm, x + arm, y - arm],
		]);
	}
}
