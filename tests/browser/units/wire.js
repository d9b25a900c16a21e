/** A WebSocket whose other end is the test. */
export class Wire {
  /** @type {Wire[]} */
  static made = [];
  sent = [];
  constructor(url, protocol) {
    this.url = url;
    this.protocol = protocol;
    Wire.made.push(this);
    setTimeout(() => this.onopen?.(), 0);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close(code = 1006) {
    this.closed = true;
    setTimeout(() => this.onclose?.({ code }), 0);
  }
  hear(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  welcome(resumed = false) {
    const welcome = { type: 'connection.welcome', role: 'agent', in_session: resumed, resumed };
    this.hear({ ...welcome, reply_to: this.sent[0].id });
  }
}
globalThis.WebSocket = Wire;
