// Reports height and completed steps to the page that embeds this one, like Dots' pages. Does nothing outside a frame.
(() => {
  if (window.parent === window) return;
  const post = (message) => window.parent.postMessage(message, "*");
  new ResizeObserver(() => post({ height: Math.ceil(document.body.getBoundingClientRect().height) })).observe(document.body);
  const { step, status } = document.body.dataset;
  if (step === undefined) return;
  post({ step, status });
  // Remove the parameters, so that a reload does not report the step again.
  const address = new URL(window.location.href);
  address.searchParams.delete("over");
  address.searchParams.delete("status");
  window.history.replaceState(null, "", address);
})();
