/** English: what an agent's proof asks. */
export default {
  login_title: 'Log in for video',
  login_help: 'Your login opens in a window of its own. Go on there only if it shows this code:',
  login_code: 'Code {code}',
  login_open: 'Log in with LivePerson',
  enrol_title: 'Enrol this browser',
  enrol_help: 'Enter the code that your administrator gave you. It works once, for one day.',
  enrol_code: 'Your code',
  enrol_send: 'Enrol',
  enrol_wrong: 'This code is not valid. Check it, or ask for a new one.',
  link_send: 'Send the consumer a link',
  link_text: 'Please open this link to talk to us by video. It works once: {url}',
};
