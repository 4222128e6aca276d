// The list of classes: a colour to choose, a name to change, a cross to remove. Names enter as the
// values of fields, never as markup.

class ClassList {
	// report(text) says one sentence; changed(repaint) is called after every change.
	constructor(maxName, report, changed) {
		this.maxName = maxName;
		this.report = report;
		this.changed = changed;
		this.doc = null;
		this.node = make("div", "sc-classes");
		this.node.setAttribute("role", "radiogroup");
		this.node.setAttribute("aria-label", "Class to paint");
	}

	show(doc) {
		this.doc = doc;
		const add = button("plus", "Add a class", () => this.add());
		add.classList.add("sc-add");
		add.append(make("span", "", "Class"));
		this.node.replaceChildren(...doc.classes.map((one) => this.chip(one)), add);
	}

	mark() {
		for (const chip of this.node.querySelectorAll(".sc-class")) {
			const on = Number(chip.dataset.id) === this.doc.active?.id;
			chip.classList.toggle("sc-on", on);
			chip.firstChild.setAttribute("aria-checked", on);
		}
	}

	chip(one) {
		const chip = make("div", "sc-class");
		chip.dataset.id = one.id;
		const pick = make("button", "sc-pick");
		pick.type = "button";
		pick.setAttribute("role", "radio");
		pick.setAttribute("aria-label", `Paint ${one.name}`);
		pick.title = "Paint this class";
		pick.append(swatch(one.color));
		const name = make("input", "sc-name");
		name.value = one.name;
		name.maxLength = this.maxName;
		name.size = Math.max(4, Math.min(18, one.name.length));
		name.setAttribute("aria-label", "Name of the class");
		name.title = "Click to choose this class and to change its name";
		const cross = button("close", "Remove this class and its strokes", () => this.remove(one));
		cross.classList.add("sc-cross");
		pick.addEventListener("click", () => this.choose(one));
		name.addEventListener("focus", () => this.choose(one));
		name.addEventListener("keydown", (event) => event.key === "Enter" && name.blur());
		name.addEventListener("change", () => this.rename(one, name));
		const on = one === this.doc.active;
		chip.classList.toggle("sc-on", on);
		pick.setAttribute("aria-checked", on);
		chip.append(pick, name, cross);
		return chip;
	}

	choose(one) {
		if (!one) return;
		this.doc.active = one;
		this.mark();
	}

	add() {
		const made = this.doc.addClass();
		if (!made) return this.report(`More than ${this.doc.palette.length} colours cannot be told apart.`);
		this.show(this.doc);
		const name = this.node.querySelector(`[data-id="${made.id}"] .sc-name`);
		name.focus();
		name.select();
	}

	rename(one, field) {
		const name = field.value.trim();
		const other = this.doc.named(name);
		if (!name || (other && other !== one)) {
			this.report(name ? `Another class has the name ${name} already.` : "A class needs a name.");
			field.value = one.name;
			return;
		}
		one.name = field.value = name;
		field.size = Math.max(4, Math.min(18, name.length));
		if (this.doc.counts(one)) this.changed();
	}

	remove(one) {
		const painted = this.doc.counts(one);
		this.doc.remove(one);
		this.show(this.doc);
		if (painted) this.changed();
	}
}
