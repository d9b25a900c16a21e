/** The broker refused a request, or no answer can come any more. `code` is stable. */
export class Refusal extends Error {
  /**
   * @param {string} code An error code of the protocol, or `connection_lost`, `timeout`, `busy`.
   * @param {string} message @param {boolean} retryable
   */
  constructor(code, message, retryable) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.retryable = retryable;
  }
}
