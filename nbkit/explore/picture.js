// A plotly figure whose library is sent once a kernel, loaded once a page, and beside its model: anywidget waits two
// seconds for a model.
function library(source) {
  const known = (window.nbkitPlotly ??= new Map());
  if (!known.has(source)) {
    const loading = import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
    loading.catch(() => known.delete(source));
    known.set(source, loading);
  }
  return known.get(source);
}
async function made(model) {
  const script = await model.widget_manager.get_model(model.get('_script'));
  const { default: widget } = await library(script.get('source'));
  const figure = typeof widget === 'function' ? await widget() : widget;
  await figure.initialize({ model });
  return figure;
}
export default () => {
  let figure;
  return {
    initialize({ model }) { hear({ model }); figure = made(model); },
    async render({ model, el }) {
      const { render } = await figure;
      for (let i = 0; i < 50 && !el.isConnected; i++)     // drawn before it has its width it would be drawn twice
        await new Promise(over => setTimeout(over, 20));
      const event = 'plotlywidget-after-render';          // from here on a view draws each update that comes
      const ask = ({ detail }) => { if (detail.element === el) { forget(); model.send({ missed: true }); } };
      const forget = () => document.removeEventListener(event, ask);
      document.addEventListener(event, ask);
      const remove = await render({ model, el });
      return () => { forget(); remove(); };
    },
  };
};
