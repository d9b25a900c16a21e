/** English: what only the login page says. */
export default {
  login_compare: 'Does your workspace show this code?',
  login_compare_help: 'Go on only if the video widget in your own workspace shows exactly this code. If somebody sent you here, close this page.',
  login_continue: 'It does: go on',
  login_done: 'You are logged in',
  login_done_help: 'You can close this window and go back to your workspace.',
  login_refused: 'That did not work',
  login_refused_help: 'Close this window and log in again from your workspace.',
};
