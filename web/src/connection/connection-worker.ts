// Runs the connection in a thread of its own, so that a busy page never holds up the audio.

import { Connection } from "./connection.js";

/** @type {Connection | undefined} */
let connection;

/** What the page may ask. @type {Record<string, (data: any) => void>} */
const ASKED = {
  open: ({ url, token }) => (connection = new Connection(url, (message) => postMessage(message), token)),
  voice: ({ id }) => connection?.selectVoice(id),
  parameters: ({ parameters }) => connection?.setParameters(parameters),
  start: ({ stream }) => connection?.start(stream),
  stop: () => connection?.stop(),
  retry: () => connection?.retry(),
};

onmessage = ({ data }) => ASKED[data.ask](data);
