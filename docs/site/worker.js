// Search runs in a Worker, which browsers refuse to pages that are opened from a folder: there a hidden frame does its work.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.hidden = true;
      this.inside = frame.contentWindow;
      window.addEventListener("message", ({ data, source }) => {
        if (source !== this.inside) return;
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        if (this.onmessage) this.onmessage(event);
      });
      const ready = (body) => `<html><body><script>${body}<` + `/script><script src="${url}"><` + "/script></body></html>";
      this.inside.document.open();
      this.inside.document.write(
        ready(
          "window.postMessage = (data) => parent.postMessage(data, '*');" +
            "window.importScripts = (...urls) => urls.reduce((after, url) => after.then(() => new Promise((done, failed) => {" +
            "const script = document.createElement('script'); script.src = url; script.onload = done; script.onerror = failed;" +
            "document.body.appendChild(script); })), Promise.resolve());",
        ),
      );
      this.inside.document.close();
      this.loaded = new Promise((done) => frame.addEventListener("load", done, { once: true }));
    }
    postMessage(data) {
      this.loaded.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data, source: window })));
    }
    terminate() {
      this.inside.frameElement.remove();
    }
  };
}
