/** Hebrew, right to left: what an agent's proof asks. */
export default {
  login_title: 'התחברות לווידאו',
  login_help: 'ההתחברות נפתחת בחלון נפרד. המשיכו שם רק אם מופיע בו הקוד הזה:',
  login_code: 'קוד {code}',
  login_open: 'התחברות עם LivePerson',
  enrol_title: 'רישום הדפדפן הזה',
  enrol_help: 'הזינו את הקוד שקיבלתם ממנהל המערכת. הוא תקף פעם אחת, ליום אחד.',
  enrol_code: 'הקוד שלכם',
  enrol_send: 'רישום',
  enrol_wrong: 'הקוד אינו תקף. בדקו אותו או בקשו קוד חדש.',
  link_send: 'שליחת קישור ללקוח',
  link_text: 'כדי לדבר איתנו בווידאו, פתחו את הקישור הזה. הוא תקף פעם אחת: {url}',
};
