// Pointer, wheel and keyboard of every stage, listened to once at the root of a component. Its host
// is {root, state, pictureOf(stage), schedule(kind), setView(view), pick(point, key), captive()},
// and keys(event, stage), which returns what else a key does; captive: nothing behind can scroll.

const WHOLE = { zoom: 1, row: 0.5, col: 0.5 };

function zoomBy({ state, setView }, factor) {
	setView(zoomAround(state.view, factor, state.hover?.point || state.query || state.view));
}

function listen(host) {
	const { root, state, pictureOf, schedule, setView } = host;
	const pointers = new Map(); // id -> last [x, y]
	let press = null; // the gesture since the first pointer went down

	// The stage under an event, if it shows a picture and the event isn't on one of its buttons.
	const stageOf = (event) => {
		const stage = event.target.closest?.(".fx-stage");
		if (!stage || !root.contains(stage) || event.target.closest(".fx-tools, .fx-handle")) return null;
		return pictureOf(stage)?.image ? stage : null;
	};

	const hoverAt = (event) => {
		const stage = stageOf(event);
		const point = stage && pictureOf(stage).pointAt(event.clientX, event.clientY);
		state.hover = point && inside(point) ? { stage, key: stage.dataset.key, point } : null;
		schedule("overlay");
	};

	root.addEventListener("pointerdown", (event) => {
		const stage = stageOf(event);
		if (!stage || event.button !== 0) return;
		pointers.set(event.pointerId, [event.clientX, event.clientY]);
		stage.setPointerCapture(event.pointerId);
		if (pointers.size > 1) return void (press.moved = true);
		press = { stage, x: event.clientX, y: event.clientY, view: state.view, moved: false };
	});

	root.addEventListener("pointermove", (event) => {
		if (!pointers.has(event.pointerId)) return hoverAt(event);
		const last = pointers.get(event.pointerId);
		pointers.set(event.pointerId, [event.clientX, event.clientY]);
		if (pointers.size === 2) return pinch(event, last);
		if (pointers.size > 2 || !press) return;
		const [dx, dy] = [event.clientX - press.x, event.clientY - press.y];
		if (!press.moved && Math.hypot(dx, dy) < 4) return;
		press.moved = true;
		state.hover = null;
		const { placed, bitmap } = pictureOf(press.stage);
		const scale = bitmap.width / bitmap.getBoundingClientRect().width;
		const { zoom, row, col } = press.view;
		setView({ zoom, row: row - (dy * scale) / placed.height, col: col - (dx * scale) / placed.width });
	});

	// Two fingers: the fraction under their middle follows it while their distance scales the view.
	const pinch = (event, last) => {
		const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
		const now = [event.clientX, event.clientY];
		const spread = (a, b) => Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1]));
		const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
		const anchor = pictureOf(press.stage).pointAt(...middle);
		setView(zoomAround(state.view, spread(now, other) / spread(last, other), anchor));
	};

	const lift = (event) => {
		if (!pointers.delete(event.pointerId)) return;
		for (const [x, y] of pointers.values()) {
			press = { ...press, x, y, view: state.view }; // the finger that stays goes on as a drag
			return;
		}
		const { stage, moved } = press || {};
		press = null;
		if (!stage || event.type === "pointercancel") return;
		if (moved) return hoverAt(event);
		const point = pictureOf(stage)?.pointAt(event.clientX, event.clientY);
		if (point && inside(point)) {
			host.pick(centreOf(pixelOf(point, state.frame), state.frame), stage.dataset.key);
		}
	};
	root.addEventListener("pointerup", lift);
	root.addEventListener("pointercancel", lift);

	root.addEventListener("pointerleave", () => {
		state.hover = null;
		schedule("overlay");
	});

	root.addEventListener("dblclick", (event) => {
		if (stageOf(event)) setView(WHOLE);
	});

	// A wheel turn that is already scrolling the page goes on scrolling it when a panel slides under
	// the pointer, and turning out beyond the whole picture scrolls too.
	let scrolled = 0;
	const elsewhere = (event) => {
		if (!root.isConnected) window.removeEventListener("wheel", elsewhere);
		if (!root.contains(event.target)) scrolled = event.timeStamp;
	};
	window.addEventListener("wheel", elsewhere, { passive: true });
	const passes = (event) =>
		(event.deltaY > 0 && state.view.zoom <= 1) || event.timeStamp - scrolled < 250;
	const wheel = (event) => {
		const stage = stageOf(event);
		if (!stage || (passes(event) && !host.captive())) return void (scrolled = event.timeStamp);
		event.preventDefault();
		// A wheel event's position is rounded to whole CSS pixels; the pointer's last move is not.
		if (state.hover?.stage !== stage) hoverAt(event);
		const turned = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1);
		const factor = Math.exp(-clamp(turned, -240, 240) / 400);
		setView(zoomAround(state.view, factor, state.hover?.point || WHOLE));
	};
	root.addEventListener("wheel", wheel, { passive: false });

	root.addEventListener("keydown", (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || !stageOf(event)) return;
		const act = keyAction(host, event, event.target.closest(".fx-stage"));
		if (!act) return;
		event.preventDefault();
		act();
	});
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function keyAction(host, event, stage) {
	const arrow = ARROWS[event.key];
	if (arrow) return () => step(host, arrow, stage.dataset.key, event.shiftKey ? 10 : 1);
	if (event.key === "+" || event.key === "=") return () => zoomBy(host, 1.5);
	if (event.key === "-" || event.key === "_") return () => zoomBy(host, 1 / 1.5);
	if (event.key === "0") return () => host.setView(WHOLE);
	return host.keys(event, stage);
}

// Without a query yet, the first arrow key steps from the middle of the picture.
function step({ state, setView, pick }, [down, right], key, pixels) {
	const [height, width] = state.frame;
	const { row, col } = pixelOf(state.query || WHOLE, state.frame);
	const pixel = {
		row: clamp(row + down * pixels, 0, height - 1),
		col: clamp(col + right * pixels, 0, width - 1),
	};
	const point = centreOf(pixel, state.frame);
	state.hover = null;
	setView(viewShowing(state.view, point));
	pick(point, key);
}

// The zoom buttons, the level between them (returned) and what the pointer does.
function viewBar(host, hint) {
	const bar = make("div", "fx-bar");
	const level = make("span", "fx-level", "1×");
	const fit = make("button", "fx-button fx-fit", "Fit");
	fit.type = "button";
	fit.title = "Show the whole picture (double-click, or 0)";
	fit.addEventListener("click", () => host.setView(WHOLE));
	bar.append(
		button("minus", "Zoom out (-)", () => zoomBy(host, 1 / 1.5)),
		level,
		button("plus", "Zoom in (+)", () => zoomBy(host, 1.5)),
		fit,
		make("span", "fx-hint", hint),
	);
	return { bar, level };
}

function levelText(zoom) {
	return `${zoom < 10 ? zoom.toFixed(1).replace(".0", "") : Math.round(zoom)}×`;
}
