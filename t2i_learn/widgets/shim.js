// In a page without a kernel this stands where Jupyter's model would: state, events, and a recording that is replayed.

const unpack = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

function shimModel({ state, base64, recording }) {
  const listeners = {};
  const emit = (event, ...rest) => [...(listeners[event] || [])].forEach((f) => f(...rest));
  for (const name of base64) state[name] = unpack(state[name]);
  return {
    offline: true,
    get: (name) => state[name],
    set(name, value) {
      if (state[name] === value) return;
      state[name] = value;
      emit(`change:${name}`);
    },
    save_changes() {},
    on: (event, f) => (listeners[event] ||= []).push(f),
    off: (event, f) => (listeners[event] = (listeners[event] || []).filter((g) => g !== f)),
    send(content) {
      if (content.type !== "ready") return this.set("message", "This page has no Python behind it: open the notebook for that.");
      recording.forEach(([kept, buffers]) => setTimeout(() => emit("msg:custom", kept, buffers.map(unpack))));
    },
  };
}
