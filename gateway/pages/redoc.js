// ReDoc: the reference, to be read.
const system = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif';
Redoc.init(
  "/openapi.json",
  {
    // Its index is built by a worker from a blob, which the page's policy does not allow.
    disableSearch: true,
    hideDownloadButton: true,
    nativeScrollbars: true,
    jsonSampleExpandLevel: 3,
    pathInMiddlePanel: true,
    scrollYOffset: "body > header",
    theme: {
      colors: { primary: { main: "#175ea8" }, text: { primary: "#1b2733" } },
      rightPanel: { backgroundColor: "#eef2f6", textColor: "#1b2733" },
      codeBlock: { backgroundColor: "#1b2733" },
      typography: {
        fontFamily: system,
        headings: { fontFamily: system },
        code: { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" },
      },
    },
  },
  document.getElementById("redoc"),
);
