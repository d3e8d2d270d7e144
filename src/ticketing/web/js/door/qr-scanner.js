// Reads codes with the camera where the browser itself can; elsewhere a hand scanner or typing does.

import { el } from '../lib/dom.js';
import { icon } from '../ui/icons.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const LOOK_MS = 200;
const SAME_MS = 4000;

/** A button that opens the camera and calls `check(code)`; nothing at all where codes cannot be read. */
export function scannerButton(check) {
  const video = el('video', { class: 'door-camera', muted: true, playsinline: true, hidden: true });
  const words = el('span', {}, t('door.camera'));
  let stop = null;
  const flip = async () => {
    if (stop) stop = stop();
    else stop = await begin(video, check).catch(() => (showNotice(t('door.camera_none')), null));
    words.textContent = t(stop ? 'door.camera_stop' : 'door.camera');
  };
  return el(
    'div',
    { class: 'stack' },
    video,
    el('button', { type: 'button', class: 'button', onclick: flip }, icon('camera'), words),
  );
}

async function begin(video, check) {
  const reader = new BarcodeDetector({ formats: ['qr_code'] });
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  video.hidden = false;
  await video.play();
  let last = { code: '', at: 0 };
  const timer = setInterval(async () => {
    const [found] = await reader.detect(video).catch(() => []);
    // A code that stays before the camera is one scan, not five a second.
    if (!found || (found.rawValue === last.code && Date.now() - last.at < SAME_MS)) return;
    last = { code: found.rawValue, at: Date.now() };
    check(found.rawValue);
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    for (const track of video.srcObject.getTracks()) track.stop();
    video.hidden = true;
    return null;
  };
}
