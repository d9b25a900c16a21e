/** German: what only the login page says. */
export default {
  login_compare: 'Zeigt Ihr Workspace diesen Code?',
  login_compare_help: 'Machen Sie nur weiter, wenn das Video-Widget in Ihrem eigenen Workspace genau diesen Code zeigt. Hat jemand Sie hierher geschickt, schließen Sie diese Seite.',
  login_continue: 'Ja, weiter',
  login_done: 'Sie sind angemeldet',
  login_done_help: 'Sie können dieses Fenster schließen und zu Ihrem Workspace zurückkehren.',
  login_refused: 'Das hat nicht geklappt',
  login_refused_help: 'Schließen Sie dieses Fenster und melden Sie sich von Ihrem Workspace aus erneut an.',
};
