# SPDX-License-Identifier: Apache-2.0
# A Perl program whose output is known only by running it: big and floating-point numbers, sorting, patterns, hashes.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha1_hex sha512_base64);
use List::Util qw(sum reduce);
use Math::BigFloat;
use Math::BigInt;
use POSIX qw(floor fmod strtol);

# Pi by Machin's formula, and a factorial.
Math::BigFloat->accuracy(60);
sub arctan_inverse {
    my ($n) = @_;
    my ($x, $sum, $sign) = (Math::BigFloat->new(1) / $n, Math::BigFloat->new(0), 1);
    my $square = $n * $n;
    for (my $k = 1; $k < 100; $k += 2) {
        $sum += $sign * $x / $k;
        $x /= $square;
        $sign = -$sign;
    }
    return $sum;
}
print "pi ", 4 * (4 * arctan_inverse(5) - arctan_inverse(239)), "\n";
print "60! ", Math::BigInt->new(60)->bfac(), "\n";
print "2^521-1 mod 10^9+7 ", Math::BigInt->new(2)->bpow(521)->bdec()->bmod(1_000_000_007), "\n";

# Floating point through printf and the C library.
for my $x (0.1, 1 / 3, 1e300 * 10, -1e-320, 12345.6789, 2**53 + 1, exp(1), atan2(1, -1)) {
    printf "%.17g %a %.3e %.10f\n", $x, $x, $x, $x;
}
printf "%.15g %.15g %.15g %.15g %.15g\n", sin(1), cos(2), sqrt(2), log(10), fmod(1e9, 7.25);

# A generator of our own, so that nothing depends on the C library's.
my $state = 12345;
sub draw { return $state = ($state * 1103515245 + 12345) & 0x7fffffff }
my @numbers = map { draw() % 100000 } 1 .. 5000;
my @sorted = sort { $a <=> $b } @numbers;
my %count;
$count{$_ % 97}++ for @numbers;
print "sum ", sum(@numbers), " median $sorted[2500] kinds ", scalar(keys %count), "\n";
print "sorted ", md5_hex(join ",", @sorted), "\n";
print "modes ", join(" ", (sort { $count{$b} <=> $count{$a} || $a <=> $b } keys %count)[0 .. 9]), "\n";

# Text: patterns, case, pack, tr, Unicode.
my $text = join " ", map { pack "A3", join "", map { chr(97 + draw() % 26) } 1 .. 3 } 1 .. 2000;
my %words;
$words{$_}++ for $text =~ /\b(\w*[aeiou]\w*)\b/g;
print "words ", scalar(keys %words), " ", (reduce { $words{$a} >= $words{$b} ? $a : $b } sort keys %words), "\n";
(my $turned = $text) =~ tr/a-z/n-za-m/;
print "turned ", sha1_hex($turned), "\n";
print "packed ", unpack("H*", pack("NnCvVdQ>", 1, 2, 3, 4, 5, 6.5, 7)), "\n";
print "hash ", sha512_base64($text x 20), "\n";
{
    use utf8;
    my $wide = "Übergrößenträger ЖЗИ";
    my $shown = lc($wide) . length($wide);
    utf8::encode($shown);
    print "wide $shown\n";
}
print "primes ", join(" ", grep { my $n = $_; !grep { $n % $_ == 0 } 2 .. sqrt $n } 9900 .. 10000), "\n";
