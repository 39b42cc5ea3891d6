// What a hosted page tells the page that embeds it, as Dots' pages do. Outside a frame it tells nobody.
(() => {
  if (window.parent === window) return;
  const tell = (message) => window.parent.postMessage(message, "*");
  new ResizeObserver(() => tell({ height: Math.ceil(document.body.getBoundingClientRect().height) })).observe(document.body);
  const { step, status } = document.body.dataset;
  if (step === undefined) return;
  tell({ step, status });
  // A reload is no second completion.
  const address = new URL(window.location.href);
  address.searchParams.delete("over");
  address.searchParams.delete("status");
  window.history.replaceState(null, "", address);
})();
