import { render } from 'preact';
import { App } from './app.tsx';
import { Desk } from './desk.ts';

const place = document.getElementById('page');
if (place !== null) {
  const desk = new Desk();
  desk.start();
  render(<App desk={desk} />, place);
}
