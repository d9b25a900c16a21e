/** Hebrew, right to left: what only the login page says. */
export default {
  login_compare: 'האם סביבת העבודה שלכם מציגה את הקוד הזה?',
  login_compare_help: 'המשיכו רק אם ווידג׳ט הווידאו בסביבת העבודה שלכם מציג בדיוק את הקוד הזה. אם מישהו שלח אתכם לכאן, סגרו את הדף.',
  login_continue: 'כן, המשך',
  login_done: 'התחברתם',
  login_done_help: 'אפשר לסגור את החלון ולחזור לסביבת העבודה.',
  login_refused: 'זה לא הצליח',
  login_refused_help: 'סגרו את החלון והתחברו שוב מסביבת העבודה.',
};
