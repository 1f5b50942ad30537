//! TICKIT, the sample database of AWS's documentation: its seven tables, and questions as the documentation asks them.
//! [Amazon Redshift Database Developer Guide, "Sample database"]

use super::*;

const TABLES: [&str; 7] = [
    "create table users(userid integer not null distkey sortkey, username char(8), firstname varchar(30), lastname varchar(30),
        city varchar(30), state char(2), email varchar(100), phone char(14), likesports boolean, liketheatre boolean,
        likeconcerts boolean, likejazz boolean, likeclassical boolean, likeopera boolean, likerock boolean, likevegas boolean,
        likebroadway boolean, likemusicals boolean)",
    "create table venue(venueid smallint not null distkey sortkey, venuename varchar(100), venuecity varchar(30), venuestate char(2),
        venueseats integer)",
    "create table category(catid smallint not null distkey sortkey, catgroup varchar(10), catname varchar(10), catdesc varchar(50))",
    "create table date(dateid smallint not null distkey sortkey, caldate date not null, day character(3) not null,
        week smallint not null, month character(5) not null, qtr character(5) not null, year smallint not null,
        holiday boolean default('N'))",
    "create table event(eventid integer not null distkey, venueid smallint not null, catid smallint not null,
        dateid smallint not null sortkey, eventname varchar(200), starttime timestamp)",
    "create table listing(listid integer not null distkey, sellerid integer not null, eventid integer not null,
        dateid smallint not null sortkey, numtickets smallint not null, priceperticket decimal(8,2), totalprice decimal(8,2),
        listtime timestamp)",
    "create table sales(salesid integer not null, listid integer not null distkey, sellerid integer not null,
        buyerid integer not null, eventid integer not null, dateid smallint not null sortkey, qtysold smallint not null,
        pricepaid decimal(8,2), commission decimal(8,2), saletime timestamp)",
];

/// Rows of our own, few enough to know the answers.
const ROWS: [&str; 6] = [
    "insert into users (userid, username, firstname, lastname, city, state, email, likesports) values
        (1, 'JSG99FHE', 'Rafael', 'Taylor', 'Kent', 'WA', 'rafael@example.com', true),
        (2, 'PGL08LJI', 'Vladimir', 'Humphrey', 'San Diego', 'CA', 'vladimir@example.org', null)",
    "insert into venue values (1, 'Toyota Park', 'Bridgeview', 'IL', 0), (2, 'Columbus Crew Stadium', 'Columbus', 'OH', 22000)",
    "insert into date values (1827, '2008-01-01', 'WE', 1, 'JAN', '1', 2008, true), (1828, '2008-11-30', 'TH', 48, 'NOV', '4', 2008, default)",
    "insert into event values (1, 1, 6, 1827, 'Mamma Mia!', '2008-01-01 20:00:00'), (2, 2, 9, 1828, 'Nas', '2008-11-30 14:30:00')",
    "insert into listing values (1, 1, 1, 1827, 10, 182.00, 1820.00, '2008-01-24 06:43:29'), (2, 2, 2, 1828, 4, 233.00, 932.00, '2008-03-05 12:25:29')",
    "insert into sales values (1, 1, 1, 2, 1, 1827, 4, 728.00, 109.20, '2008-02-18 02:36:48'), (2, 2, 2, 1, 2, 1828, 1, 233.00, 34.95, '2008-06-06 05:00:16')",
];

/// As the files of the documentation are written.
const CATEGORIES: &str = "6|Shows|Musicals|Musical theatre\n9|Concerts|Pop|All rock and pop music concerts\n";

/// Questions with the idioms of the documentation, and what comes of them.
const QUESTIONS: [(&str, &[&str]); 12] = [
    (
        "select sellerid, username, (firstname ||' '|| lastname) as name, city, sum(qtysold) from sales, date, users
            where sales.sellerid = users.userid and sales.dateid = date.dateid and year = 2008 and city = 'San Diego'
            group by sellerid, username, name, city order by 5 desc limit 5",
        &["2|PGL08LJI|Vladimir Humphrey|San Diego|1"],
    ),
    ("select avg(qtysold) from sales", &["2"]),
    (
        "select datediff(day, listtime, saletime) as wait from sales, listing where sales.listid = listing.listid order by wait desc",
        &["93", "25"],
    ),
    (
        "select dateadd(day,30,caldate) as novplus30 from date where month='NOV' order by dateid",
        &["2008-12-30 00:00:00"],
    ),
    (
        "select eventname, next_day(caldate, 'Monday') from event, date where event.dateid = date.dateid order by 1",
        &["Mamma Mia!|2008-01-07", "Nas|2008-12-01"],
    ),
    (
        "select nvl2(likesports, 'asked', 'not asked'), nvl(venueseats, 0) from users, venue where userid = venueid order by userid",
        &["asked|0", "not asked|22000"],
    ),
    (
        "select caldate, decode(month, 'JAN', 'first', 'NOV', 'eleventh', 'other') from date order by caldate",
        &["2008-01-01|first", "2008-11-30|eleventh"],
    ),
    ("select listagg(distinct catname, ', ') within group (order by catname) from category", &["Musicals, Pop"]),
    ("select top 1 qtysold, sellerid from sales order by qtysold desc, sellerid", &["4|1"]),
    (
        "select extract(week from saletime) as weeknum, trunc(starttime) from sales join event using (eventid) order by salesid",
        &["8|2008-01-01", "23|2008-11-30"],
    ),
    ("select approximate count(distinct pricepaid), median(pricepaid) from sales", &["2|480.5"]),
    (
        "select regexp_replace(email, '@.*\\\\.(org|gov|com|edu|ca)$'), len(username) from users order by userid",
        &["rafael|8", "vladimir|8"],
    ),
];

pub(crate) async fn tickit_is_made_and_asked(api: &Api) -> Outcome {
    api.all(&["CREATE SCHEMA tickit", "GRANT USAGE ON SCHEMA tickit TO PUBLIC"]).await?;
    api.database.warehouse.run("ALTER ROLE postgres SET search_path = tickit, public, redshift_catalog").await?;
    let outcome = async {
        api.all(&TABLES).await?;
        api.file("bucket/tickit/category_pipe.txt", CATEGORIES)?;
        let copy = "copy category from 's3://bucket/tickit/category_pipe.txt' iam_role default delimiter '|' region 'us-east-1'";
        api.rows(copy).await?;
        api.all(&ROWS).await?;
        for (question, answer) in QUESTIONS {
            assert_eq!(api.rows(question).await?, answer, "{question}");
        }
        api.all(&["vacuum sort only sales to 75 percent", "analyze sales predicate columns"]).await
    };
    let outcome: Outcome = outcome.await;
    api.database.warehouse.run("ALTER ROLE postgres RESET search_path").await?;
    outcome
}
