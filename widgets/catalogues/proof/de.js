/** German: what an agent's proof asks. */
export default {
  login_title: 'Für Video anmelden',
  login_help: 'Die Anmeldung öffnet sich in einem eigenen Fenster. Machen Sie dort nur weiter, wenn es diesen Code zeigt:',
  login_code: 'Code {code}',
  login_open: 'Mit LivePerson anmelden',
  enrol_title: 'Diesen Browser registrieren',
  enrol_help: 'Geben Sie den Code ein, den Sie von Ihrer Administration erhalten haben. Er gilt einmal und einen Tag lang.',
  enrol_code: 'Ihr Code',
  enrol_send: 'Registrieren',
  enrol_wrong: 'Dieser Code gilt nicht. Prüfen Sie ihn oder bitten Sie um einen neuen.',
  link_send: 'Link zum Videogespräch senden',
  link_text: 'Bitte öffnen Sie diesen Link, um per Video mit uns zu sprechen. Er gilt einmal: {url}',
};
