// One line that says what is going on; text enters as text, whatever it holds.
const line = element.querySelector(".status");

function show() {
	const value = props.value ?? {};
	line.textContent = value.text ?? "";
	line.className = `status ${["work", "done", "error"].includes(value.kind) ? value.kind : ""}`;
}

watch("value", show);
show();
