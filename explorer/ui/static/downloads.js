// Hands a file that the server made to the browser's downloads, once for each serial number.
let last = null;

async function save() {
	const { file, name, serial } = props.value ?? {};
	if (!file?.url || serial === last) return;
	last = serial;
	const link = document.createElement("a");
	link.href = URL.createObjectURL(await (await fetch(file.url)).blob());
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

watch("value", save);
