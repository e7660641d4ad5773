// What widgets share that take a picture of the reader's own: a button that opens a file and hands it to the kernel.

const LARGEST_FILE = 8e6; // bytes: what a notebook server takes in one message
const PICTURES = "image/png, image/jpeg, image/webp, image/gif, image/bmp, image/tiff";

// Opens a file and sends it, as it is, to the kernel, whose decoder reads it; `sends` says what else the message holds.
// -> {open, node}
function pictureOpener(view, model, { label = "Open a file …", sends = () => ({}) } = {}) {
  const file = el("input", { type: "file", accept: PICTURES, hidden: true, tabindex: -1, "aria-label": "A picture file" });
  const open = button({ label, title: "A picture of your own; the file is only read", onclick: () => file.click() });
  async function hand() {
    const [chosen] = file.files;
    if (!chosen) return;
    if (chosen.size > LARGEST_FILE) view.complain(`“${chosen.name}” has ${Math.ceil(chosen.size / 1e6)} MB, and a notebook takes 8 at most: make it smaller first.`);
    else view.send({ type: "open", name: chosen.name.slice(-200), ...sends() }, [await chosen.arrayBuffer()]);
    file.value = ""; // so that the same file can be chosen again
  }
  view.on(file, "change", hand);
  open.disabled = view.offline;
  return { open, node: el("span", {}, open, file) };
}
