// Scans QR codes with the camera where the browser has BarcodeDetector; elsewhere, codes are typed or hand-scanned.

import { el, setText } from '../lib/dom.js';
import { icon } from '../ui/icons.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const DETECT_INTERVAL_MS = 200;
const REPEAT_AFTER_MS = 4000;

/** A button that starts and stops the camera; calls `check(code)` for each scanned code. */
export function scannerButton(check) {
  const video = el('video', { class: 'door-camera', muted: true, playsinline: true, hidden: true });
  const label = el('span', {}, t('door.camera'));
  let stop = null;
  const toggle = async () => {
    if (stop) stop = stop();
    else stop = await startScanning(video, check).catch(() => (showNotice(t('door.camera_none')), null));
    setText(label, t(stop ? 'door.camera_stop' : 'door.camera'));
  };
  return el(
    'div',
    { class: 'stack' },
    video,
    el('button', { type: 'button', class: 'button', onclick: toggle }, icon('camera'), label),
  );
}

/** Returns the function that stops scanning. */
async function startScanning(video, check) {
  const detector = new BarcodeDetector({ formats: ['qr_code'] });
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  video.hidden = false;
  await video.play();
  let last = { code: '', at: 0 };
  const timer = setInterval(async () => {
    const [found] = await detector.detect(video).catch(() => []);
    // A code that stays in view counts as one scan, not as five per second.
    if (!found || (found.rawValue === last.code && Date.now() - last.at < REPEAT_AFTER_MS)) return;
    last = { code: found.rawValue, at: Date.now() };
    check(found.rawValue);
  }, DETECT_INTERVAL_MS);
  return () => {
    clearInterval(timer);
    for (const track of video.srcObject.getTracks()) track.stop();
    video.hidden = true;
    return null;
  };
}
