// What is painted: classes and strokes, with undo. Strokes name their class by id, so that renaming
// is one change; a stroke's points are [row, col] fractions and its radius one of the longer side.

class Doc {
	constructor(palette) {
		this.palette = palette;
		this.classes = [];
		this.strokes = [];
		this.past = [];
		this.future = [];
		this.active = null;
		this.next = 1;
		for (const name of ["object", "background"]) this.addClass(name);
		this.active = this.classes[0];
	}

	// The first colour nobody has, so that removing a class frees its colour.
	addClass(name, color) {
		const used = new Set(this.classes.map((one) => String(one.color)));
		const free = this.palette.find((one) => !used.has(String(one)));
		if (!color && !free) return null;
		const made = { id: this.next++, name: name || this.freeName(), color: color || free };
		this.classes.push(made);
		this.active = made;
		return made;
	}

	freeName() {
		for (let at = this.classes.length + 1; ; at++) {
			if (!this.named(`class ${at}`)) return `class ${at}`;
		}
	}

	named(name) {
		return this.classes.find((one) => one.name === name);
	}

	byId(id) {
		return this.classes.find((one) => one.id === id);
	}

	remove(gone) {
		this.remember();
		this.strokes = this.strokes.filter((stroke) => stroke.id !== gone.id);
		this.classes = this.classes.filter((one) => one !== gone);
		if (this.active === gone) this.active = this.classes[0] || null;
	}

	paint(stroke) {
		this.remember();
		this.strokes = [...this.strokes, stroke];
	}

	clear() {
		if (!this.strokes.length) return false;
		this.remember();
		this.strokes = [];
		return true;
	}

	// Strokes are never changed, only listed anew, so a past state is two short lists.
	remember() {
		this.past.push(this.now());
		this.future = [];
	}

	now() {
		return { strokes: this.strokes, classes: this.classes.filter((one) => this.counts(one)) };
	}

	counts(one) {
		return this.strokes.some((stroke) => stroke.id === one.id);
	}

	undo() {
		return this.travel(this.past, this.future);
	}

	redo() {
		return this.travel(this.future, this.past);
	}

	travel(from, to) {
		const then = from.pop();
		if (!then) return false;
		to.push(this.now());
		this.strokes = then.strokes;
		for (const one of then.classes) if (!this.classes.includes(one)) this.adopt(one);
		this.active ||= this.classes[0];
		return true;
	}

	// A class that comes back may find its name or its colour taken.
	adopt(one) {
		if (this.named(one.name)) one.name = this.freeName();
		const used = new Set(this.classes.map((other) => String(other.color)));
		if (used.has(String(one.color))) {
			one.color = this.palette.find((color) => !used.has(String(color))) || one.color;
		}
		this.classes.push(one);
	}

	// Strokes of a file: each carries its class's name and colour, the last colour counts.
	load(strokes) {
		this.remember();
		this.classes = [];
		const colors = new Map(strokes.map((stroke) => [stroke.name, stroke.colour]));
		for (const [name, color] of colors) this.addClass(name, color);
		this.strokes = strokes.map(({ name, points, radius }) => ({
			id: this.named(name).id,
			points,
			radius,
		}));
		this.active = this.classes[0] || null;
		while (this.classes.length < 2) this.addClass();
	}

	toJSON() {
		return this.strokes.map(({ id, points, radius }) => {
			const { name, color } = this.byId(id);
			return { name, colour: color, points, radius };
		});
	}
}

const roomFor = (doc, limits) =>
	doc.strokes.length < limits.strokes &&
	doc.strokes.reduce((sum, stroke) => sum + stroke.points.length, 0) < limits.together;
