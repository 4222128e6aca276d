// The figure as it will be printed, larger than life. Gradio supplies element, props and watch.

const root = element.querySelector(".fx");
root.classList.add("ex-preview");
const paper = root.appendChild(document.createElement("div"));
paper.className = "ex-paper";
const figure = paper.appendChild(document.createElement("img"));

function show() {
	const value = props.value ?? {};
	root.classList.toggle("ex-empty", !value.image?.url);
	if (!value.image?.url) return;
	figure.src = value.image.url;
	figure.alt = value.alt;
	paper.dataset.theme = value.theme;
	paper.style.width = `${value.width}px`;
}

watch("value", show);
show();
