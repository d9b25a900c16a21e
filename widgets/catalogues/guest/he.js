/** Hebrew, right to left: what only the guest page says. */
export default {
  join_title: 'הוזמנתם',
  join_help: 'כתבו מי אתם, בדקו את התמונה והצטרפו לשיחת הווידאו.',
  your_name: 'השם שלכם',
  joining: 'מצטרף…',
  join_no_code: 'הקישור אינו שלם',
  join_no_code_help: 'פתחו את הקישור בדיוק כפי שקיבלתם אותו.',
  over_link: 'כדי להיכנס שוב, בקשו קישור חדש.',
  over_page: 'אפשר לסגור את הדף.',
};
