// Headings, words, tables and folds; every text enters as text. Gradio supplies element, props and
// watch. A table with "values" sorts by a click on a head.

const root = element.querySelector(".ps");
const orders = new Map(); // by table's place: [column, direction], kept when the value changes

function make(tag, name, text) {
	const made = document.createElement(tag);
	if (name) made.className = name;
	if (text !== undefined) made.textContent = text;
	return made;
}

// `code` and [text](address) become elements, a line break a line of its own.
function write(target, text) {
	for (const line of String(text).split("\n")) {
		const row = target.appendChild(make("span", "ps-line"));
		for (const part of line.split(/(`[^`]+`|\[[^\]]+\]\(https:\/\/[^)\s]+\))/)) {
			const link = part.match(/^\[([^\]]+)\]\((https:\/\/[^)\s]+)\)$/);
			if (link) {
				const anchor = row.appendChild(make("a", "", link[1]));
				anchor.href = link[2];
				anchor.target = "_blank";
				anchor.rel = "noopener noreferrer";
			} else if (/^`[^`]+`$/.test(part)) row.append(make("code", "", part.slice(1, -1)));
			else row.append(part);
		}
	}
	return target;
}

function sorted(grid, place) {
	const rows = grid.rows.map((_, index) => index);
	const order = orders.get(place);
	if (!grid.values || !order) return rows;
	const [column, way] = order;
	const key = (index) => grid.values[index][column];
	return rows.sort((a, b) => {
		const [first, second] = [key(a), key(b)];
		if (first === null || second === null) return (first === null) - (second === null);
		return way * (typeof first === "string" ? first.localeCompare(second) : first - second);
	});
}

function table(grid, place) {
	const made = make("table", `${grid.numbers ? "ps-numbers" : ""} ${grid.values ? "ps-sorts" : ""}`);
	(grid.widths ?? []).forEach((width) => {
		made.appendChild(make("col")).style.width = `${width}%`;
	});
	const head = made.appendChild(make("thead")).appendChild(make("tr"));
	const texts = grid.head.map((_, column) => grid.values?.some((row) => typeof row[column] === "string"));
	grid.head.forEach((text, column) => {
		const cell = head.appendChild(make("th", texts[column] ? "ps-text" : ""));
		cell.scope = "col";
		const hint = grid.hints?.[column];
		if (hint) cell.title = hint;
		if (!grid.values) return write(cell, text);
		const order = orders.get(place);
		const mine = order?.[0] === column;
		const button = cell.appendChild(make("button", "ps-sort"));
		button.type = "button";
		button.append(text, make("span", "ps-arrow", mine ? (order[1] > 0 ? " ▲" : " ▼") : ""));
		cell.setAttribute("aria-sort", mine ? (order[1] > 0 ? "ascending" : "descending") : "none");
		button.addEventListener("click", () => {
			const first = grid.falling?.[column] ? -1 : 1;
			orders.set(place, [column, mine ? -order[1] : first]);
			show();
			root.querySelectorAll(".ps-scroll")[place]?.querySelectorAll(".ps-sort")[column]?.focus();
		});
	});
	const body = made.appendChild(make("tbody"));
	for (const index of sorted(grid, place)) {
		const row = body.appendChild(make("tr"));
		row.classList.toggle("ps-quiet", grid.quiet?.includes(index) ?? false);
		row.classList.toggle("ps-wait", grid.waiting?.includes(index) ?? false);
		row.classList.toggle("ps-bad", grid.bad?.includes(index) ?? false);
		grid.rows[index].forEach((text, column) => {
			const cell = row.appendChild(make(column ? "td" : "th", texts[column] ? "ps-text" : ""));
			if (!column) cell.scope = "row";
			if (grid.best?.[index]?.includes(column)) cell.classList.add("ps-best");
			write(cell, text);
			if (grid.rows[index].length < grid.head.length && column === grid.rows[index].length - 1)
				cell.colSpan = grid.head.length - column;
		});
	}
	const scroll = make("div", "ps-scroll");
	scroll.append(made);
	return scroll;
}

function block(part, places) {
	if (part.kind === "heading") return write(make(`h${part.level}`), part.text);
	if (part.kind === "words") return write(make("p", part.warning ? "ps-warning" : ""), part.text);
	if (part.kind === "code") return make("pre", "", part.text);
	if (part.kind === "fold") {
		const fold = make("details");
		fold.append(make("summary", "", part.title), ...part.blocks.map((one) => block(one, places)));
		return fold;
	}
	return table(part, places.count++);
}

function show() {
	const open = [...root.querySelectorAll("details")].map((fold) => fold.open);
	const places = { count: 0 };
	root.replaceChildren(...(props.value ?? []).map((part) => block(part, places)));
	root.querySelectorAll("details").forEach((fold, index) => {
		fold.open = open[index] ?? false;
	});
}

watch("value", show);
show();
