// One cell of the grid: a picture with its tools, and underneath what it is. Text a user may have
// written only ever enters through textContent.

const ICONS = {
	download: "M8 2v8M4.5 7 8 10.5 11.5 7M3 13.5h10",
	expand: "M6 2.5H2.5V6M10 2.5h3.5V6M6 13.5H2.5V10M10 13.5h3.5V10",
	close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
	previous: "M10 3 5 8l5 5",
	next: "M6 3l5 5-5 5",
	plus: "M8 3v10M3 8h10",
	minus: "M3 8h10",
};

function make(tag, name, text) {
	const node = document.createElement(tag);
	if (name) node.className = name;
	if (text !== undefined) node.textContent = text;
	return node;
}

function button(icon, label, act) {
	const node = make("button", "fx-button");
	node.type = "button";
	node.title = label;
	node.setAttribute("aria-label", label);
	const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	svg.setAttribute("viewBox", "0 0 16 16");
	svg.setAttribute("aria-hidden", "true");
	const path = svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
	path.setAttribute("d", ICONS[icon]);
	node.append(svg);
	node.addEventListener("click", act);
	return node;
}

function swatch([red, green, blue]) {
	const node = make("i", "fx-swatch");
	node.style.background = `rgb(${red}, ${green}, ${blue})`;
	return node;
}

function title(entry) {
	return entry.row ? `${entry.column}, ${entry.row}` : entry.column;
}

// A stage takes the pointer and the keyboard; grid.js listens for all of them at once.
function makeStage(key) {
	const stage = make("div", "fx-stage");
	stage.tabIndex = 0;
	stage.setAttribute("role", "application");
	stage.dataset.key = key;
	return stage;
}

// The server's own file name would win over link.download, so its bytes go through a blob.
async function download(entry) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(await (await fetch(entry.image.url)).blob());
	link.download = `${title(entry).replace(/[^\w.-]+/g, "_") || "panel"}.png`;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

class Card {
	constructor(key, state, expand) {
		this.state = state;
		this.node = make("figure", "fx-card");
		this.stage = this.node.appendChild(makeStage(key));
		this.picture = new Picture(this.stage, state);
		this.notice = this.stage.appendChild(make("div", "fx-notice"));
		this.tools = this.stage.appendChild(make("div", "fx-tools"));
		this.tools.append(
			button("download", "Download this panel as PNG", () => download(this.entry)),
			button("expand", "Show this panel in the full window (Enter)", () => expand(key)),
		);
		this.foot = this.node.appendChild(make("figcaption", "fx-foot"));
		this.drawn = "";
	}

	// With ``keep`` the old picture stays, and can be clicked, until the new one is there.
	show(entry, keep = false) {
		const waits = entry.pending && !entry.image && !entry.error;
		if (keep && waits && this.entry?.image) entry = { ...this.entry, pending: true };
		const drawn = JSON.stringify(entry);
		if (drawn === this.drawn) return;
		this.drawn = drawn;
		this.entry = entry;
		const busy = !!entry.pending;
		this.node.classList.toggle("fx-error", !!entry.error);
		this.node.classList.toggle("fx-busy", busy);
		this.node.classList.toggle("fx-blank", !entry.image);
		this.node.setAttribute("aria-busy", busy);
		this.notice.textContent = entry.error || (busy ? "working…" : "");
		this.notice.setAttribute("role", entry.error ? "alert" : "presentation");
		this.tools.hidden = !entry.image;
		this.stage.setAttribute("aria-label", `${title(entry)}. ${entry.error || entry.caption || ""}`);
		this.foot.replaceChildren(...footer(entry));
		const url = entry.error ? null : entry.image?.url;
		if (!url) return this.picture.show(entry, null);
		load(url).then(
			(image) => this.entry === entry && this.picture.show(entry, image),
			() =>
				this.entry === entry &&
				this.show({ ...entry, image: null, error: "This picture could not be loaded; run it again." }),
		);
	}

	remove() {
		this.picture.observer.disconnect();
		this.node.remove();
	}
}

function footer(entry) {
	const parts = [];
	const head = make("div", "fx-head");
	if (entry.origin) {
		const badge = make("span", "fx-badge", entry.origin);
		badge.dataset.weights = entry.weights;
		head.append(badge);
	}
	for (const [name, text] of entry.metrics || []) {
		const metric = make("span", "fx-metric");
		metric.append(make("span", "", name), make("b", "", text));
		head.append(metric);
	}
	if (head.childNodes.length) parts.push(head);
	if (entry.caption) {
		const caption = make("div", "fx-caption", entry.caption);
		caption.title = entry.caption; // two lines of it are shown
		parts.push(caption);
	}
	if (entry.legend?.length) {
		const legend = make("div", "fx-legend");
		for (const [name, color] of entry.legend) {
			const chip = make("span", "fx-chip");
			chip.append(swatch(color), make("span", "", name));
			legend.append(chip);
		}
		parts.push(legend);
	}
	if (entry.colorbar) {
		const { low, high, label, colors } = entry.colorbar;
		const bar = make("div", "fx-colorbar");
		const scale = make("i", "fx-scale");
		const stops = colors.map((color) => `rgb(${color.join(",")})`);
		scale.style.background = `linear-gradient(to right, ${stops.join(",")})`;
		bar.append(make("span", "", low), scale, make("span", "", high));
		parts.push(bar);
		if (label) parts.push(make("div", "fx-caption", label));
	}
	return parts;
}
