// What Shop.java promises, and what JDBC makes of every type, as text and in binary. Prints TAP.
//
//   RSV_URL      a database made by ../setup.sql
//   RSV_ROUTE    direct or pooled
//   RSV_PREPARE  1: with prepared statements, whose results are binary
//   RSV_MISUSE   the file misuse.tsv
import java.net.URI;
import java.nio.file.*;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGStatement;
import org.postgresql.util.*;

public class Check {
    static int tests = 0;
    static String url;

    static void ok(boolean passed, String name, Object found) {
        System.out.println((passed ? "ok " : "not ok ") + ++tests + " - " + name);
        if (!passed) System.err.println("# found: " + found);
    }

    static void same(Object found, Object expected, String name) {
        ok(Objects.equals(found, expected), name, found + " expected: " + expected);
    }

    static List<Integer> numbers(int first, int last) {
        var numbers = new ArrayList<Integer>();
        for (int i = first; i <= last; i++) numbers.add(i);
        return numbers;
    }

    static String or(String value) { return value == null ? "" : value; }

    static void claims(Shop shop) throws Exception {
        var first = shop.claim("print", "ann", "cart-1");
        same(List.of(first.status(), first.number(), first.replayed()),
            List.of("claimed", 1, false), "claimed");
        ok(first.id() != null && first.id().version() == 7, "claim_id is a UUID", first.id());
        long left = Duration.between(OffsetDateTime.now(), first.expiresAt()).toSeconds();
        ok(left >= 590 && left <= 600, "ten minutes from now", left);
        ok(first.expiresAt().getNano() % 1_000_000 != 0, "with microseconds", first.expiresAt());
        same(shop.claim("print", "ann", "cart-1"),
            new Shop.Claim("claimed", first.id(), 1, first.expiresAt(), true),
            "replayed, the same row");
        var sale = shop.sell(first.id());
        same(List.of(sale.status(), sale.number(), sale.replayed()),
            List.of("finalized", 1, false), "finalized");
        same(shop.sell(first.id()), new Shop.Sale("finalized", 1, sale.finalizedAt(), true),
            "finalized again: the same row");

        shop.connection().setAutoCommit(false);
        var gone = shop.claim("last", "bob", "cart-2");
        same(gone, new Shop.Claim("sold_out", null, 0, null, false), "a refusal is a row");
        same(shop.claim("print", "bob", "cart-2").number(), 2,
            "and leaves the transaction as it was");
        shop.connection().commit();
        same(shop.claim("print", "bob", "cart-2").replayed(), true, "which has committed");
        same(shop.claim("print", "ian", "cart-9").number(), 3, "claimed, and rolled back");
        shop.connection().rollback();
        shop.connection().setAutoCommit(true);
    }

    static void misuses(Shop shop) throws Exception {
        for (String line : Files.readAllLines(Path.of(System.getenv("RSV_MISUSE")))) {
            String[] fields = line.split("\t", -1);
            Object found;
            try (var statement = shop.connection().createStatement()) {
                statement.executeQuery(fields[1]);
                found = "no error";
            } catch (PSQLException e) {
                ServerErrorMessage error = e.getServerErrorMessage();
                found = List.of(e.getSQLState(), error.getMessage(), or(error.getDetail()),
                    or(error.getHint()));
            }
            same(found, List.of(fields[0], fields[2], fields[3], fields[4]),
                fields[0] + " whole: " + fields[2]);
        }
    }

    // One statement many times: from the second on it is prepared, and its results are binary.
    static void statements(Shop shop, boolean prepare) throws Exception {
        var found = new ArrayList<Integer>();
        var ids = new HashSet<UUID>();
        boolean prepared = false;
        try (var call = shop.connection().prepareStatement(
                "SELECT * FROM reservation.claim_next(?, ?)")) {
            for (int i = 0; i < 10; i++) {
                call.setString(1, "print");
                call.setString(2, "eve");
                try (var row = call.executeQuery()) {
                    row.next();
                    found.add(row.getInt("number"));
                    ids.add(row.getObject("claim_id", UUID.class));
                    row.getObject("expires_at", OffsetDateTime.class);
                }
                prepared = call.unwrap(PGStatement.class).isUseServerPrepare();
            }
        }
        same(found, numbers(3, 12), "ten times the same statement: ten numbers");
        same(ids.size(), 10, "and ten ids");
        same(prepared, prepare, "by a prepared statement: " + prepare);
    }

    static void types(Shop shop) throws Exception {
        for (int turn = 1; turn <= 3; turn++) {         // text first, binary once it is prepared
            String name = "turn " + turn;
            try (var call = shop.connection().prepareStatement(
                    "SELECT claim_id, expires_at, number, replayed"
                    + " FROM reservation.claim_next('print', 'ann', request_id => ?)")) {
                call.setString(1, "cart-1");
                try (var row = call.executeQuery()) {
                    row.next();
                    var first = shop.claim("print", "ann", "cart-1");
                    same(List.of(row.getObject(1), row.getObject(2, OffsetDateTime.class),
                            row.getInt(3), row.getBoolean(4)),
                        List.of(first.id(), first.expiresAt(), 1, true),
                        name + ": uuid, timestamptz, integer, boolean");
                }
            }
            try (var call = shop.connection().prepareStatement(
                    "SELECT * FROM reservation.claim_next('slow', ?)")) {
                call.setString(1, "gus");
                call.executeQuery();
                try (var row = call.executeQuery()) {
                    row.next();
                    same(row.getString("status"), "rate_limited", name + ": a refusal");
                    var wait = (PGInterval) row.getObject("retry_after");
                    ok(wait.getHours() == 1 && wait.getMinutes() > 25, name + ": interval", wait);
                }
            }
            try (var call = shop.connection().prepareStatement(
                    "SELECT capacity FROM reservation.availability(?)")) {
                call.setArray(1, shop.connection().createArrayOf("text", new String[] {"grains"}));
                try (var row = call.executeQuery()) {
                    row.next();
                    same(row.getLong(1), (1L << 53) + 1, name + ": bigint, and an array");
                }
            }
            try (var call = shop.connection().prepareStatement("SELECT checkout_id, claims,"
                    + " claims->0->>'quantity' FROM reservation.checkout(?, 'ann', ?::jsonb)")) {
                call.setString(1, "checkout-" + turn);
                call.setString(2, "[{\"pool\": \"grains\", \"quantity\": 2}]");
                try (var row = call.executeQuery()) {
                    row.next();
                    ok(row.getString(2).contains("\"pool\": \"grains\""), name + ": jsonb",
                        row.getString(2));
                    same(row.getString(3), "2", name + ": and what is in it");
                    try (var cancel = shop.connection().prepareStatement(
                            "SELECT status FROM reservation.cancel_checkout(?)")) {
                        cancel.setObject(1, row.getObject(1));
                        try (var end = cancel.executeQuery()) {
                            end.next();
                            same(end.getString(1), "cancelled", name + ": a UUID goes back");
                        }
                    }
                }
            }
        }
    }

    // A portal that is run in parts, and one that is given up after its first row.
    static void parts(Shop shop) throws Exception {
        shop.connection().setAutoCommit(false);
        var found = new ArrayList<Integer>();
        try (var call = shop.connection().prepareStatement(
                "SELECT number FROM reservation.claim_next('print', 'fay', count => 5)")) {
            call.setFetchSize(2);
            try (var row = call.executeQuery()) {
                while (row.next()) found.add(row.getInt(1));
            }
            same(found, numbers(13, 17), "five units, fetched in parts");
            call.setMaxRows(1);
            try (var row = call.executeQuery()) {
                row.next();
                same(row.getInt(1), 18, "only the first of five rows");
            }
        }
        shop.connection().commit();
        shop.connection().setAutoCommit(true);
        same(shop.claim("print", "gus", "cart-10").number(), 23, "and all five were claimed");
    }

    static void lost(Shop shop) throws Exception {
        var before = shop.claim("print", "kim", "cart-11");
        try (var statement = shop.connection().createStatement()) {
            statement.execute("SELECT pg_terminate_backend(pg_backend_pid())");
        } catch (SQLException e) {
            ok(e.getSQLState().matches("57P01|08..."), "the connection is cut", e.getSQLState());
        }
        same(shop.claim("print", "kim", "cart-11"),
            new Shop.Claim("claimed", before.id(), before.number(), before.expiresAt(), true),
            "the same call again gets the first answer");
    }

    static void pooler(Shop shop) throws Exception {
        var found = new ArrayList<Integer>();
        var shops = new ArrayList<Shop>();
        for (int i = 0; i < 6; i++) {
            shops.add(new Shop(url));
            found.add(shops.get(i).claim("print", "crowd " + i, "crowd-" + i).number());
        }
        same(found, numbers(25, 30), "six clients at once");
        try (var row = shop.connection().createStatement().executeQuery(
                "SELECT count(*) FROM pg_stat_activity"
                    + " WHERE usename = 'shop' AND datname = current_database()")) {
            row.next();
            ok(row.getInt(1) <= 2, "are served by two sessions at the most", row.getInt(1));
        }
        for (Shop one : shops) one.close();
    }

    public static void main(String[] arguments) throws Exception {
        boolean prepare = System.getenv("RSV_PREPARE").equals("1");
        var uri = URI.create(System.getenv("RSV_URL"));
        String[] user = uri.getUserInfo().split(":");
        url = "jdbc:postgresql://" + uri.getAuthority().replaceFirst(".*@", "") + uri.getPath()
            + "?user=" + user[0] + "&password=" + user[1]
            + "&prepareThreshold=" + (prepare ? 2 : 0);
        try (var shop = new Shop(url)) {
            claims(shop);
            misuses(shop);
            statements(shop, prepare);
            types(shop);
            parts(shop);
            lost(shop);
            if (System.getenv("RSV_ROUTE").equals("pooled")) pooler(shop);
            try (var row = shop.connection().createStatement().executeQuery(
                    "SELECT * FROM reservation.verify()")) {
                ok(!row.next(), "verify() finds nothing wrong", "something");
            }
        }
        System.out.println("1.." + tests);
    }
}
